"""pytest's door to gradcheck. Kept light: an installed but unused plugin costs nothing.

Nothing but `options` is imported until the command line asks for gradient checks, and numpy, yaml,
pydantic and the plugins only when the first case file is collected.
"""

from __future__ import annotations

import sys
from typing import Any

import pytest

from gradcheck import options


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    import gradcheck.in_pytest.hooks as pytesthooks

    pluginmanager.add_hookspecs(pytesthooks)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gradcheck: a check of a YAML case (see --gradcheck)")
    on = options.value(config, "on")
    named = any(names_yaml(str(argument)) for argument in config.args)
    functions = options.packages(config)
    if on or named or functions or options.wants_report(config):
        from gradcheck.in_pytest.session import Session

        if hasattr(config, "workerinput"):  # xdist: reports are the controller's
            config.pluginmanager.register(Session(config, on=bool(on)), "gradcheck-session")
        else:
            from gradcheck.in_pytest.reporter import Reporter
            from gradcheck.in_pytest.rootdir import pin_for_workers, reject_moved

            reject_moved(config)
            pin_for_workers(config)
            session = Session(config, on=bool(on))
            config.pluginmanager.register(session, "gradcheck-session")
            if options.value(config, "strict_plugins"):
                session.load_plugins_strictly()
            if getattr(config.option, "dist", "no") != "no":
                session.reject_unknown_settings()
            config.pluginmanager.register(Reporter(config, session), "gradcheck-reporter")
    if functions:
        from gradcheck.in_pytest.functions import register

        register(config, functions)
    if not (on or named or functions or hasattr(config, "workerinput")):
        unused = options.on_command_line(config)
        if unused:
            from gradcheck.in_pytest.unused import Unused

            config.pluginmanager.register(Unused(config, unused), "gradcheck-unused")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(call: pytest.CallInfo[Any]) -> None:
    """`assert check_gradients(f, x)` fails with the text of the failure, not with a repr."""
    if call.excinfo is not None and "gradcheck.result" in sys.modules:
        from gradcheck.in_pytest.asserted import say_why

        say_why(call.excinfo)


@pytest.fixture(name="gradcheck")
def _gradcheck(request: pytest.FixtureRequest) -> Any:
    """Assertions about gradients and training: assert_gradients(f, *inputs),
    assert_trains(model, batch, loss, optimizer, step=None),
    assert_same_gradients(f, reference, *inputs). Their results appear in gradcheck's reports."""
    from gradcheck.in_pytest.fixture import GradcheckFixture

    return GradcheckFixture(request.node)


def names_yaml(argument: str) -> bool:
    """Whether a command-line argument is a YAML file or a node in one."""
    return argument.partition("::")[0].lower().endswith((".yaml", ".yml"))
