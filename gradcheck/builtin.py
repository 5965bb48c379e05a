"""What ships with gradcheck, contributed through the same hooks that any plugin uses."""

from __future__ import annotations

from typing import Any

from gradcheck import hookimpl
from gradcheck.hookspecs import Register


@hookimpl
def gradcheck_frameworks(register: Register) -> None:
    def make_tinytorch() -> Any:
        from gradcheck.frameworks.tinytorch import TinyTorch

        return TinyTorch()

    register("tinytorch", make_tinytorch)


@hookimpl
def gradcheck_checks(register: Register) -> None:
    from gradcheck.checks.gradient import Gradient
    from gradcheck.checks.graph import Graph
    from gradcheck.checks.overfit import Overfit
    from gradcheck.checks.updates import Updates

    for check in (Graph(), Gradient(), Overfit(), Updates()):
        register(check.name, check)
