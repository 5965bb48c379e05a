"""How the options of `gradient` say what is meant: stops, surrogates, approximations."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from gradcheck.checks.base import Options
from gradcheck.probe.surrogates import ITSELF
from gradcheck.yamlcases.written import OneOrMany, Shorthand, Written


def a_stop(value: str) -> str:
    """A whole file is no stop: what leaves the graph in it by mistake would pass too."""
    if value.endswith(".py"):
        raise ValueError(f"{value} is a whole file; name the line, such as {value}:12")
    return value


Stop = Annotated[str, Field(min_length=1), AfterValidator(a_stop)]
StopOption = Annotated[list[Stop], OneOrMany()]


def a_formula(value: Any) -> Any:
    """The name of an op, or from Python the function itself."""
    if value is None or callable(value) or (isinstance(value, str) and value):
        return value
    raise ValueError("a formula is the name of a registered op, or `identity`")


class SurrogateSpec(Options):
    """What the backward of an op is meant to be: that of `scale` times the formula."""

    formula: Annotated[Any, AfterValidator(a_formula), Written(str | None)] = Field(
        None,
        description="The registered op whose true gradient the backward must be, or `identity`; "
        "without it the op itself.",
    )
    args: dict[str, Any] = Field({}, description="Arguments of the formula.")
    scale: float = Field(1.0, description="What the gradient is multiplied by: -1 reverses it.")
    verified: bool = Field(
        True, description="false: take the backward as it is, and only check that it is linear."
    )


def as_surrogate(value: Any) -> Any:
    """`identity` stands for `{formula: identity}`, `true` for `{verified: false}`."""
    if value is True:
        return {"verified": False}
    if isinstance(value, str) or (callable(value) and not isinstance(value, type)):
        return {"formula": value}
    return value


def as_surrogates(value: Any) -> Any:
    """`true` and a formula alone are about the op of the case."""
    if value is True or isinstance(value, str) or callable(value):
        return {ITSELF: value}
    return value


OneSurrogate = Annotated[SurrogateSpec, Shorthand(as_surrogate, Literal[True] | str)]
SurrogateOption = Annotated[dict[str, OneSurrogate], Shorthand(as_surrogates, Literal[True] | str)]

Tolerance = Annotated[float, Field(gt=0, lt=1)]


def as_tolerances(value: Any) -> Any:
    """A number alone is for everything."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return {ITSELF: value}
    return value


ApproximateOption = Annotated[dict[str, Tolerance], Shorthand(as_tolerances, Tolerance)]
