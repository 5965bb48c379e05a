"""pytest's door to gradcheck. Kept light: an installed but unused plugin costs nothing.

Nothing but `options` is imported until the command line asks for gradient checks, and numpy, yaml,
pydantic and the plugins only when the first case file is collected.
"""

from __future__ import annotations

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
    if on or any(names_yaml(str(argument)) for argument in config.args):
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


def names_yaml(argument: str) -> bool:
    """Whether a command-line argument is a YAML file or a node in one."""
    return argument.partition("::")[0].lower().endswith((".yaml", ".yml"))
