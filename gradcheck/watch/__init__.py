"""`python -m gradcheck watch`: a training script as it is, run under observation and diagnosed."""

from __future__ import annotations

import os
from collections.abc import Sequence


def assert_script(
    script: str | os.PathLike[str],
    *arguments: str,
    folder: str | os.PathLike[str] | None = None,
    checks: Sequence[str] = (),
    steps: int = 40,
    seconds: float = 60.0,
) -> None:
    """Watch a training script, as `gradcheck watch` does, from within a test.

    arguments: the script's own. folder: where it runs (default: the working directory). checks:
    what to look at (default: all). steps: of each learning rate. seconds: the longest time of one
    trial. Raises AssertionError with the text of the command if something was found, or if the
    script could not be looked at.

        from gradcheck.watch import assert_script

        def test_training():
            assert_script("train.py", "--epochs", "2")
    """
    __tracebackhide__ = True
    from gradcheck.watch.run import CHECKS, Wanted, watch
    from gradcheck.watch.text import text_of

    wanted = Wanted(
        script=os.fspath(script),
        arguments=tuple(arguments),
        folder=None if folder is None else os.fspath(folder),
        checks=tuple(checks) or CHECKS,
        steps=steps,
        seconds=seconds,
    )
    seen = watch(wanted)
    if seen.findings or not seen.could or seen.problem is not None:
        raise AssertionError(text_of(seen, wanted))
