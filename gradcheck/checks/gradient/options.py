"""Options of the check `gradient`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from gradcheck.checks.base import Options
from gradcheck.checks.gradient.meant import ApproximateOption, StopOption, SurrogateOption
from gradcheck.numerics.examine import Settings
from gradcheck.numerics.inputs.variants import NAMES, VariantName
from gradcheck.probe.surrogates import IDENTITY
from gradcheck.yamlcases.case import Inputs, InputSpec
from gradcheck.yamlcases.written import Shorthand


def as_variants(value: Any) -> Any:
    """`true` stands for all kinds of derived inputs, `false` for none."""
    if isinstance(value, bool):
        return list(NAMES) if value else []
    return value


class GradientOptions(Options):
    """No tolerance is set by hand: it follows from the measured noise."""

    exhaustive: bool = Field(
        False,
        description="also perturb every entry of every tensor end to end, not only along random "
        "directions",
    )
    method: Literal["auto", "complex"] = Field(
        "auto",
        description="complex: end-to-end derivatives by complex steps, exact to rounding, for "
        "subjects whose ops are analytic and accept complex arrays",
    )
    order: Literal[1, 2] = Field(
        1,
        description="2: also check second derivatives (Hessian-vector products), where the "
        "framework can compute them",
    )
    directions: Annotated[int, Field(ge=1, le=100)] = Field(
        1, description="random directions per tensor end to end"
    )
    budget: float = Field(
        5e7,
        description="numbers that the op-by-op check may read and write; where all entries of an "
        "input would cost more than its share, random directions are taken instead",
    )
    variants: Annotated[list[VariantName], Shorthand(as_variants, bool)] = Field(
        True,
        validate_default=True,
        description="derived inputs of an op case: true for all, false for none, or the names of "
        "those wanted",
    )
    skip_variants: list[VariantName] = Field(
        [], description="names of derived inputs that do not apply"
    )
    extra: list[Annotated[Inputs, Field(min_length=1)]] = Field(
        [], description="more inputs to check an op at, each written like `inputs`"
    )

    stop: StopOption = Field(
        [],
        description="stop-gradients that are meant: 'file.py:12', or the name of the function or "
        "tensor; what leaves the graph there is held at its values, and the rest is verified",
    )

    surrogate: SurrogateOption = Field(
        {},
        description="ops whose backward is meant to be another: the name of the op, its "
        "`autograd.Function` or 'file.py:12', with the formula that is meant, `{scale: -1}`, or "
        "true to take it as it is",
    )

    approximate: ApproximateOption = Field(
        {},
        description="errors up to this share of a gradient are no findings, such as 1e-4: for all, "
        "or by the name of an op; a note says how large the largest was",
    )

    undecided: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0,
        description="share of the tensors that may stay undecided: of which the check would not "
        "have noticed an error of 1 %, because the forward rounds",
    )

    def declared(self) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, InputSpec]]]:
        for i, specs in enumerate(self.extra):
            yield ("extra", i), specs

    def ops_named(self) -> Iterator[tuple[tuple[str | int, ...], str, Sequence[str]]]:
        for name, spec in self.surrogate.items():
            if isinstance(spec.formula, str) and spec.formula != IDENTITY:
                yield ("surrogate", *((name, "formula") if name else ())), spec.formula, [IDENTITY]

    def settings(self) -> Settings:
        """What is asked of the examination of one point."""
        return Settings(
            directions=self.directions,
            budget=self.budget,
            exhaustive=self.exhaustive,
            method=self.method,
            order=self.order,
            stop=tuple(self.stop),
            approximate=self.approximate,
            undecided=self.undecided,
        )
