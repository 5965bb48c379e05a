"""A validated case: immutable data, as YAML wrote it, with names still unresolved."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Scalar = bool | int | float | str | None


class Closed(BaseModel):
    """Unknown keys are errors; values are not coerced; instances do not change."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class InputSpec(Closed):
    """One input of an op: random values of `shape`, or the given `values`.

    Floats are normal with mean 0 and deviation `scale`; with `low` and `high` uniform between them;
    dtype int draws integers from low (0) to high - 1; bool draws both values.
    """

    shape: tuple[int, ...] | None = None
    values: Any = None
    dtype: Literal["float", "int", "bool"] = "float"
    low: float | None = None
    high: float | None = None
    scale: float = 1.0
    trainable: bool = True


class Named(Closed):
    """A registered thing and its arguments: `adam`, or `{name: adam, lr: 0.01}`."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    name: str

    @property
    def args(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})


class DataSpec(Named):
    """A dataset, its arguments, and how many samples make a batch."""

    batch: Annotated[int, Field(ge=1)] = 8
    shuffle: bool = True


class Xfail(Closed):
    """The check that must fail, and the code of the finding that it must report."""

    check: str
    finding: str
    reason: str = ""


class Place(Closed):
    """Where the case stands: file as the user wrote it, line of its name, and its YAML lines."""

    file: str = "<case>"
    line: int = 0
    text: str = ""


class Case(Closed):
    """One case. Exactly one of `op` and `model` is set.

    checks: name -> options as written (None for defaults); they are validated against the check's
    own `Options`. inputs: for an op. data, loss, optimizer, step: for a model.
    """

    name: str
    place: Place = Place()
    framework: str = "tinytorch"
    op: str | None = None
    model: str | None = None
    args: dict[str, Any] = {}
    inputs: dict[str, InputSpec] = {}
    data: DataSpec | None = None
    loss: Named | None = None
    optimizer: Named | None = None
    step: str | None = None
    dtype: Literal["float32", "float64"] = "float32"
    seed: int = 0
    training: bool = True
    checks: dict[str, dict[str, Any]] = {}
    xfail: tuple[Xfail, ...] = ()

    @property
    def subject_name(self) -> str:
        """The registered name of what is probed."""
        return self.op or self.model or "?"

    @property
    def id(self) -> str:
        return f"{self.place.file}::{self.name}"
