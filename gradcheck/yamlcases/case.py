"""A validated case: immutable data, as YAML wrote it, with names still unresolved.

The models are the schema: validation, JSON Schema and the case reference are made of them. What
needs more than one key (exactly one of `op` and `model`) or the registry is in `schema` and
`names`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from gradcheck.yamlcases.dims import MayBeNamed, resolved
from gradcheck.yamlcases.skipping import holds
from gradcheck.yamlcases.written import Numbers, OneOrMany, Shorthand, Written, given

_PART = r"(<|<=|>|>=|==|!=)3(\.[0-9]+){1,2}"
PYTHON_SPEC = rf"^{_PART}(, *{_PART})*$"
MAX_AXES = 8
WORD = r"^[A-Za-z_][A-Za-z0-9_]*$"


class Closed(BaseModel):
    """Unknown keys are errors; values are not coerced; instances do not change."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, regex_engine="python-re"
    )


def _shape_or_values(schema: dict[str, Any]) -> None:
    """An input has a shape or values; beside values nothing chooses numbers."""
    beside: list[dict[str, Any]] = [{"required": [k]} for k in ("shape", "low", "scale")]
    # As a name, `high` says what the values index.
    beside.append({"required": ["high"], "properties": {"high": {"type": "number"}}})
    schema["if"] = given("values")
    schema["then"] = {"not": {"anyOf": beside}}
    schema["else"] = given("shape")


def _a_condition(schema: dict[str, Any]) -> None:
    """A `skip_if` has at least one condition; an empty list is not one."""
    schema["anyOf"] = [given(key) for key in ("platform", "python", "missing")]
    for key in ("platform", "missing"):
        del schema["properties"][key]["default"]


def as_named(value: Any) -> Any:
    """`adam` stands for `{name: adam}`."""
    return {"name": value} if isinstance(value, str) else value


def as_input(value: Any) -> Any:
    """`[2, 5]` stands for `{shape: [2, 5]}`."""
    return {"shape": value} if isinstance(value, (list, tuple)) else value


def as_axes(value: Any) -> bool | tuple[int, ...]:
    """`unique: 1` stands for `[1]`; true is every axis, false none."""
    if isinstance(value, bool):
        return value
    axes = value if isinstance(value, (list, tuple)) else [value]
    if not axes or any(type(axis) is not int for axis in axes):
        raise ValueError("unique is true, an axis, or a list of axes")
    return tuple(axes)


def few_axes(value: Any) -> Any:
    """Refuses a long list at once, before every entry of it is looked at."""
    if isinstance(value, (list, tuple)) and len(value) > MAX_AXES:
        raise ValueError(f"a shape has at most {MAX_AXES} axes, and this one has {len(value):,}")
    return value


def as_checks(value: Any) -> Any:
    """`graph`, `[graph, gradient]` stand for a mapping of names to no options; so does null."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value):
        return {name: {} for name in value}
    if isinstance(value, dict):
        return {name: {} if options is None else options for name, options in value.items()}
    return value


def as_skip(value: Any) -> Any:
    """`skip: true` is a skip without a reason, `skip: false` is none."""
    if value is False:
        return None
    return "the case says `skip: true`" if value is True else value


# YAML has lists only: a list is taken for a tuple, its items stay strict.
Many = Field(strict=False)
Some = Field(min_length=1)
Dimension = Annotated[int, Field(ge=0, le=2**24), MayBeNamed(sized=True)]
Shape = Annotated[tuple[Dimension, ...], Many, Field(max_length=MAX_AXES)]
Word = Annotated[str, Field(pattern=WORD)]
Sentence = Annotated[str, Field(min_length=1, max_length=1000)]
Platform = Literal["linux", "darwin", "win32", "cygwin", "freebsd"]


class InputSpec(Closed):
    """One input of an op: random values of `shape`, or the given `values`.

    Floats are normal with mean 0 and deviation `scale`; with `low` and `high` uniform between them;
    dtype int draws integers from low (0) to high - 1; bool draws both values.
    """

    model_config = ConfigDict(json_schema_extra=_shape_or_values)

    shape: Annotated[Shape | None, BeforeValidator(few_axes)] = Field(
        default=None,
        description="Sizes of the axes, `[]` for a single number. `N=5` gives a size a name; axes "
        "of one name (`N`) change together in derived inputs.",
    )
    values: Annotated[Any, Written(Numbers | None)] = Field(
        default=None,
        description="The values themselves, a number or nested lists, instead of `shape`.",
    )
    dtype: Literal["float", "int", "bool"] = Field(
        default="float", description="Kind of numbers. Only floats get a gradient."
    )
    low: float | None = Field(
        default=None, description="Lowest value: floats are then uniform in [low, high)."
    )
    high: Annotated[float | None, MayBeNamed(sized=False)] = Field(
        default=None,
        description="Upper end, itself not drawn; if not given, low + 1, for ints low + 2. For "
        "ints also the name of a size, which they index.",
    )
    scale: float = Field(
        default=1.0,
        gt=0,
        description="Standard deviation of floats that have neither `low` nor `high`.",
    )
    trainable: bool = Field(
        default=True, description="Whether the gradient of this input is checked."
    )
    unique: Annotated[Any, AfterValidator(as_axes), Written(bool | int | list[int])] = Field(
        default=False,
        description="Integers without repeats, also in derived inputs: true for all entries, or "
        "the axis (a list of axes) along which they differ.",
    )


Input = Annotated[InputSpec, Shorthand(as_input, Shape)]
Inputs = Annotated[dict[str, Input], AfterValidator(resolved)]
"""Inputs of an op by name."""


@runtime_checkable
class DeclaresInputs(Protocol):
    """Capability of a check's options: they declare more inputs of the op of the case."""

    def declared(self) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, InputSpec]]]:
        """(path in the options, inputs by name) of each set."""


@runtime_checkable
class NamesOps(Protocol):
    """Capability of a check's options: they name registered ops besides that of the case."""

    def ops_named(self) -> Iterator[tuple[tuple[str | int, ...], str, Sequence[str]]]:
        """(path in the options, name, what else may stand there) of each."""


class Named(Closed):
    """A registered thing and its arguments: `adam`, or `{name: adam, lr: 0.01}`."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(description="The registered name; every other key is an argument.")

    @property
    def args(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})


class DataSpec(Named):
    """A dataset, its arguments, and how many samples make a batch."""

    batch: int = Field(default=8, ge=1, le=2**20, description="Samples in a batch.")
    shuffle: bool = Field(default=True, description="Whether the order changes with every epoch.")


ScheduleName = Literal["constant", "linear", "cosine"]


class ScheduleSpec(Closed):
    """How the learning rate changes: a line up from 0 over `warmup` steps, then as `name` says."""

    name: ScheduleName = Field(
        default="constant",
        description="What follows the warm-up: nothing, a line down, half a cosine.",
    )
    warmup: int = Field(
        default=0, ge=0, description="Steps over which the rate rises to the optimizer's."
    )
    final: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="What is left of the rate at the last step, as a share of it.",
    )


class TrainSpec(Closed):
    """How `python -m gradcheck train` trains the model of the case."""

    steps: int = Field(default=200, ge=1, description="Updates in all.")
    eval_every: int = Field(
        default=100, ge=1, description="Steps between evaluations; a checkpoint is written at each."
    )
    eval_batches: int = Field(default=20, ge=1, description="Held-out batches of one evaluation.")
    clip: float | None = Field(
        default=None,
        gt=0,
        description="Largest norm of all gradients together; larger ones are scaled.",
    )
    schedule: Annotated[ScheduleSpec, Shorthand(as_named, ScheduleName)] = Field(
        default=ScheduleSpec(), description="How the learning rate changes: a name, or a mapping."
    )
    sample: int = Field(
        default=300, ge=0, description="Tokens of text that are written at the end."
    )


class Xfail(Closed):
    """The check that must fail, and the code of the finding that it must report."""

    check: str = Field(description="A check of this case.")
    finding: str = Field(description="The code of the finding, such as `cut` or `wrong_gradient`.")
    reason: str = Field(default="", description="Why the case is expected to fail.")


class SkipIf(Closed):
    """A condition, as data: the case is skipped where every key that is given holds."""

    model_config = ConfigDict(json_schema_extra=_a_condition)

    platform: Annotated[tuple[Platform, ...], Many, Some, OneOrMany()] = Field(
        default=(), description="One or several of the values of `sys.platform`."
    )
    python: str | None = Field(
        default=None,
        pattern=PYTHON_SPEC,
        description="Versions of Python, such as `<3.11` or `>=3.10, <3.12`.",
    )
    missing: Annotated[tuple[Word, ...], Many, Some, OneOrMany()] = Field(
        default=(),
        description="Import names: the case is skipped when one of them is not installed.",
    )
    reason: str = Field(default="", description="What the report says.")


class Place(Closed):
    """Where the case is: its file as the user wrote it, the line of its name, its YAML lines."""

    file: str = "<case>"
    line: int = 0
    text: str = ""


class CaseKeys(Closed):
    """The keys that say what is checked, and how."""

    description: str = Field(default="", description="What the case shows, for people.")
    framework: str = Field(
        default="tinytorch", description="The framework whose op or model it is."
    )
    op: str | None = Field(
        default=None, description="The op to probe. A case has either `op` or `model`."
    )
    model: str | None = Field(default=None, description="The model to probe, built by its factory.")
    args: dict[str, Any] = Field(
        default={}, description="Arguments of the op or of the model's factory."
    )
    inputs: Inputs = Field(
        default={},
        description="Inputs of an op by name: a shape such as `[2, 5]`, or an input mapping.",
    )
    data: Annotated[DataSpec | None, Shorthand(as_named, str)] = Field(
        default=None, description="The dataset of a model: its name, or a mapping."
    )
    loss: Annotated[Named | None, Shorthand(as_named, str)] = Field(
        default=None,
        description="The loss of a model: its name, or a mapping of name and arguments.",
    )
    optimizer: Annotated[Named | None, Shorthand(as_named, str)] = Field(
        default=None, description="The optimizer: its name, or a mapping of name and arguments."
    )
    step: str | None = Field(
        default=None, description="A registered training step instead of `loss(model(x), y)`."
    )
    train: TrainSpec | None = Field(
        default=None,
        description="How `python -m gradcheck train` trains the model; no check reads it.",
    )
    dtype: Literal["float32", "float64", "float16", "bfloat16"] = Field(
        default="float32",
        description="Precision of the model in training. `gradient` works in float64; with float16 "
        "or bfloat16 it then compares the gradients in that dtype too.",
    )
    seed: int = Field(
        default=0,
        ge=0,
        le=2**32 - 1,
        description="Of initial values, inputs, data order and dropout.",
    )
    training: bool = Field(default=True, description="Whether the model is in train mode.")
    checks: Annotated[dict[str, dict[str, Any]], BeforeValidator(as_checks)] = Field(
        default={}, description="Checks to run: names with options, a list of names, or `all`."
    )
    marks: Annotated[tuple[Word, ...], Many, OneOrMany()] = Field(
        default=(), description="Pytest marks, for `-m`."
    )
    skip: Annotated[Sentence | None, Shorthand(as_skip, bool)] = Field(
        default=None, description="The reason why the case is not run, or `true`."
    )
    skip_if: Annotated[tuple[SkipIf, ...], Many, OneOrMany()] = Field(
        default=(), description="One or several conditions under which the case is not run."
    )
    xfail: Annotated[tuple[Xfail, ...], Many, OneOrMany()] = Field(
        default=(),
        description="One or several checks that must fail, and with which finding (strict).",
    )
    cost: float | None = Field(
        default=None, gt=0, description="Seconds that the case takes, to spread cases over workers."
    )
    timeout: float | None = Field(
        default=None, gt=0, description="Seconds after which a check of the case fails."
    )
    batched: bool = Field(
        default=True,
        description="Whether an op may be run on several stacked copies of an input at once.",
    )
    isolate: bool = Field(
        default=False,
        description="Whether each check runs in a process of its own, whose death is a finding.",
    )


def _parameters() -> dict[str, Any]:
    """The JSON Schema of `parametrize`."""
    keys = "|".join(CaseKeys.model_fields)
    return {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": rf"^({keys})(\.[^.]+)*$"},
        "additionalProperties": {
            "anyOf": [
                {"type": "array", "minItems": 1},
                {
                    "type": "object",
                    "minProperties": 1,
                    "propertyNames": {"pattern": "^[A-Za-z0-9_.-]+$"},
                },
            ]
        },
    }


class WrittenCase(CaseKeys):
    """The keys that a case may have in YAML, in the order of the reference."""

    parametrize: Annotated[Any, WithJsonSchema(_parameters())] = Field(
        default=None,
        description="One case for every combination of values: a path in the case, such as "
        "`args.width`, with a list of values or a mapping of names to values.",
    )


class Case(CaseKeys):
    """One case. Exactly one of `op` and `model` is set.

    checks: name -> options as written ({} for defaults); they are validated against the check's
    own `Options`. inputs: for an op. data, loss, optimizer, step: for a model.
    """

    name: str
    place: Place = Place()

    @property
    def subject_name(self) -> str:
        """The registered name of what is probed."""
        return self.op or self.model or "?"

    @property
    def id(self) -> str:
        return f"{self.place.file}::{self.name}"

    def skip_reason(self) -> str | None:
        """Why the case is not to be run here, None when it is. Imports nothing."""
        if self.skip is not None:
            return self.skip
        reasons = (holds(condition) for condition in self.skip_if)
        return next((reason for reason in reasons if reason is not None), None)
