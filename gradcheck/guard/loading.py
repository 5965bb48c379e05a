"""What a plugin may do while it is loaded without taking the run along."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gradcheck.guard.ending import no_exit
from gradcheck.guard.interrupts import interrupts


@contextmanager
def tolerated() -> Iterator[list[BaseException]]:
    """What the block raises is appended to the list that this gives, and not raised: `sys.exit()`,
    `os._exit()`, `pytest.skip()` and a KeyboardInterrupt of its own too. The user's ^C is raised.
    """
    failed: list[BaseException] = []
    with interrupts() as interrupted, no_exit():
        try:
            yield failed
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and interrupted.by_user:
                raise
            failed.append(error)
