"""What all tests share."""

import pytest

from tests.support.project import everything_imported, project

__all__ = ["everything_imported", "project"]

pytest_plugins = ["pytester", "tests.support.golden"]


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """`pytest` alone runs the suite on all cores, where pytest-xdist is there.

    Not with a path, `-n`, `-s`, `--pdb` or `--gradcheck`, which ask for something else.
    """
    option = config.option
    alone = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    alone = alone and not hasattr(config, "workerinput")
    other = (
        option.usepdb
        or option.collectonly
        or option.capture == "no"
        or getattr(option, "gradcheck", False)
    )
    if alone and not other and getattr(option, "numprocesses", 0) is None:
        option.numprocesses = "auto"
