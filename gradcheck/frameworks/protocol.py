"""What gradcheck asks of a framework, of its datasets and of its models.

An adapter is one class with the methods of `Framework`. Everything else here is a capability: an
adapter that has its methods gets what the docstring says, and nothing needs to be declared.

Arrays that cross this boundary are numpy's. `Leaf` and `Output` are the framework's own objects;
gradcheck only hands them back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

Array = NDArray[Any]
Leaf = Any
Output = Any


@dataclass(frozen=True)
class Precision:
    """The widest floating dtype that the framework computes in: of its data and of its gradients.

    Some frameworks force float32 on one of the two; tolerances follow the coarser.
    """

    data: str = "float64"
    gradients: str = "float64"


class Framework(Protocol):
    """The required half of an adapter."""

    name: str
    precision: Precision

    def manual_seed(self, seed: int) -> None:
        """Make everything random that follows (initial values, dropout) repeatable."""

    def leaf(self, array: Array, *, trainable: bool, dtype: str | None = None) -> Leaf:
        """A tensor of `array` (copied). Integer arrays stay integers, whatever `dtype`."""

    def named_parameters(self, model: Any) -> dict[str, Leaf]:
        """What should train, by dotted name: an attribute walk over modules, lists, dicts and
        plain objects, not what `parameters()` says. A tied tensor appears once."""

    def optimized(self, model: Any) -> list[Leaf]:
        """What the model itself hands to an optimizer: its `parameters()`."""

    def cast(self, model: Any, dtype: str) -> None:
        """Convert the floating state of `model` in place ('float32', 'float64')."""

    def train_mode(self, model: Any, training: bool) -> None:
        """Switch dropout, batch norm and the like."""

    def get(self, leaf: Leaf) -> Array:
        """A copy of the values of a leaf."""

    def set(self, leaf: Leaf, array: Array) -> None:
        """Replace the values of a leaf, the whole array, keeping its identity."""

    def trainable(self, leaf: Leaf) -> bool:
        """The framework's own flag (requires_grad and its like)."""

    def forward(self, fn: Callable[[], Output], *, seed: int) -> Output:
        """Seed, then run `fn`, recording a graph."""

    def value(self, output: Output) -> Array:
        """A copy of the values of an output."""

    def backward(self, output: Output, cotangent: Array | None) -> None:
        """Pull `cotangent` (None: 1, for a scalar) back to the leaves."""

    def grad(self, leaf: Leaf) -> Array | None:
        """A copy of the accumulated gradient. None and zeros both mean 'none'."""

    def zero_grad(self, leaves: Sequence[Leaf]) -> None:
        """Forget the accumulated gradients."""

    def call(
        self, op: Callable[..., Output], inputs: Mapping[str, Leaf], args: Mapping[str, Any]
    ) -> Output:
        """Apply a registered op to named inputs; where it takes no names, in their order."""


class OpCall(Protocol):
    """One recorded op call that can be run again on other arrays, outside any graph.

    `run` and `vjp` leave the graph and the recorded inputs as they are, and may be called from
    several threads at once.
    """

    @property
    def name(self) -> str: ...
    @property
    def inputs(self) -> Sequence[Any]:
        """The recorded inputs: ndarray, Python number or None, one per array parameter."""

    @property
    def input_names(self) -> Sequence[str]: ...
    @property
    def needs(self) -> Sequence[bool]:
        """Which inputs get a gradient."""

    @property
    def sources(self) -> Sequence[int | str | None]:
        """Where each input comes from: the index of an earlier call of this tape, the name of a
        leaf of the subject, or None for a constant."""

    @property
    def attrs(self) -> Mapping[str, Any]: ...
    @property
    def where(self) -> str | None:
        """The line of user code that called the op, 'file:line'."""

    def run(self, inputs: Sequence[Any]) -> Array:
        """The result on other inputs."""

    def vjp(self, inputs: Sequence[Any]) -> tuple[Array, Callable[[Array], list[Array | None]]]:
        """The result on other inputs and its pullback: cotangent -> one cotangent per input,
        shaped like the input, None where it needs none."""


@runtime_checkable
class OneAtATime(Protocol):
    """Capability of an `OpCall`: it says whether one input may get a further leading axis.

    Several copies of an input in one call are faster. But native code that trusts its shapes reads
    outside its memory when one input is stacked and the others keep their size.
    """

    @property
    def may_stack(self) -> bool:
        """False: every run gets arrays of the recorded shapes."""


@runtime_checkable
class MayDraw(Protocol):
    """Capability of an op call: it knows whether it draws random numbers."""

    def draws(self) -> bool:
        """Whether a run draws from a generator. What it draws may follow the memory layout."""


@runtime_checkable
class IsDefined(Protocol):
    """Capability of an `OpCall`: findings name the line of the op's backward."""

    @property
    def defined(self) -> str | None:
        """'file:line' of the user's backward; None for an op of the framework itself."""


def backward_at(call: OpCall) -> str | None:
    """Where the backward of a call is defined, if the call can say so."""
    return call.defined if isinstance(call, IsDefined) else None


# --- capabilities of an adapter -------------------------------------------------------------------


@runtime_checkable
class HasRandomState(Protocol):
    """Capability of a framework: the state of its global generator can be compared. It keeps the
    layout law from accusing an op that is random."""

    def random_state(self) -> bytes:
        """The state now; another one after anything was drawn."""


@runtime_checkable
class HasTape(Protocol):
    """Capability: every op call is checked by itself, and a finding names the op and its line."""

    def tape(self, output: Output, leaves: Mapping[str, Leaf]) -> list[OpCall]:
        """The op calls behind `output`, each after the calls it depends on; the last made
        `output`. Called before `backward`, since some frameworks erase the graph there."""


@runtime_checkable
class HasHandwritten(Protocol):
    """Capability: without a tape, backwards that a user wrote are checked by themselves."""

    def handwritten(self, run: Callable[[], Output]) -> list[OpCall]:
        """The calls of such functions behind what `run` returns. Their sources are unknown (None).
        `run` may be called several times."""


@dataclass(frozen=True)
class MetFunction:
    """A call of a function whose backward somebody wrote, met in a running program.

    name, module: of the function. defined: 'file:line' of its backward. arguments: what it got, as
    people read it ('x (2, 3) float32, mode=1'). inputs: its tensors by name, in their order.
    needs: those of them that required a gradient. run: called with a tensor for each input; the one
    floating result, or all floating results one after another.
    """

    name: str
    module: str
    defined: str | None
    arguments: str
    inputs: Mapping[str, Array]
    needs: tuple[str, ...]
    run: Callable[..., Output]


@runtime_checkable
class WatchesFunctions(Protocol):
    """Capability of a framework: `pytest --gradcheck-functions` checks functions at the inputs that
    they get in a test suite."""

    def watch_functions(
        self,
        packages: Sequence[str],
        wanted: Callable[[str, str, int], bool],
        met: Callable[[MetFunction], None],
    ) -> AbstractContextManager[list[str]]:
        """While it is active, `met` hears of every call of such a function defined in one of
        `packages` that `wanted(function, arguments, bytes of its inputs)` asks for and that
        returns. Gives the names of the functions that are watched, 'module.name'."""


@runtime_checkable
class GuessesInputs(Protocol):
    """Capability: `python -m gradcheck probe` finds inputs for a model that brings none."""

    def guess_inputs(self, model: Any, seed: int) -> Iterable[tuple[str, list[Array]]]:
        """(what it is, the arrays), the likeliest first."""


@runtime_checkable
class WatchesCalls(Protocol):
    """Capability: without a tape, `determinism` and its like name the line where two runs part."""

    def watch_calls(self) -> AbstractContextManager[list[Any]]:
        """Everything that is called meanwhile, in order, as `OpCall`s of which only the pullback
        may be missing; filled when the context is left at the latest."""


@runtime_checkable
class KeepsGraph(Protocol):
    """Capability: an op without a tape is checked faster, and a backward that writes into its
    cotangent is seen."""

    def pull(self, output: Output, leaves: Sequence[Leaf], cotangent: Array) -> list[Array | None]:
        """The cotangents of `leaves`, None for none. The graph is kept, nothing is accumulated, and
        the backward gets the same `cotangent`, not a copy."""


@runtime_checkable
class ComputesLow(Protocol):
    """Capability: `precision` checks kernels in further dtypes. Without it only float32."""

    @property
    def low_dtypes(self) -> tuple[str, ...]:
        """Those of 'float32', 'float16' and 'bfloat16' that leaves can have. Arrays that hold
        bfloat16 numbers cross this boundary as float32."""


LOW_DTYPES = ("float32", "float16", "bfloat16")
"""The dtypes that kernels are written for."""


def low_dtypes(framework: Framework) -> tuple[str, ...]:
    """Those of `LOW_DTYPES` that leaves of `framework` can have; float32 if it does not say."""
    return framework.low_dtypes if isinstance(framework, ComputesLow) else ("float32",)


@dataclass(frozen=True)
class MemoryFault:
    """A way in which a function does not keep to its own memory.

    kind: 'writes_input', 'writes_cotangent', 'writes_outside', 'reads_outside', 'reads_unwritten',
    'reuses_output', 'depends_on_order' or 'not_zero'. leaf: the tensor; None: the result or the
    incoming gradient. during: 'forward' or 'backward'.
    """

    kind: str
    leaf: str | None = None
    during: str = ""


@runtime_checkable
class GuardsMemory(Protocol):
    """Capability: `precision` sees a kernel that reads or writes memory that is not its own, or
    that depends on earlier calls."""

    def memory_faults(
        self,
        fn: Callable[[Mapping[str, Leaf]], Output],
        arrays: Mapping[str, Array],
        *,
        trainable: Mapping[str, bool],
        dtype: str,
        seed: int,
    ) -> list[MemoryFault]:
        """Calls `fn` on tensors that lie between guard zones. dtype: of the floating ones."""


@runtime_checkable
class JoinsResults(Protocol):
    """Capability: functions and models that return several tensors are checked as a whole."""

    def join(self, output: Any) -> Output | None:
        """The tensors in a tuple, list, dict or other object that have a gradient, or all where
        none has one, as one flat tensor of the same graph; one tensor as it is; None for none.
        Tensors of whole numbers are left out."""


@runtime_checkable
class TakesComplex(Protocol):
    """Capability: complex inputs are checked, by their real and imaginary parts. Where it is there,
    `get`, `value` and `grad` give a complex tensor one more axis of two numbers, real and imaginary
    part, and `set` and `backward` take them so: the gradient is dL/dRe + i dL/dIm."""

    def is_complex(self, value: Any) -> bool:
        """Whether this is a complex tensor."""

    def as_complex(self, leaf: Leaf) -> Leaf:
        """The complex tensor of a real one with a last axis of two, inside the graph."""


@runtime_checkable
class SecondOrder(Protocol):
    """Capability: `gradient: {order: 2}` checks second derivatives."""

    def hessian_vector(
        self,
        output: Output,
        leaves: Mapping[str, Leaf],
        vectors: Mapping[str, Array],
        cotangent: Array | None,
    ) -> dict[str, Array]:
        """Per leaf the derivative of its gradient of sum(cotangent * output) as all leaves move
        along `vectors`; zeros where it does not depend on them."""


@runtime_checkable
class HasBuffers(Protocol):
    """Capability: state that is not trained (running statistics) is restored between runs, and
    `updates` sees when an optimizer moves it."""

    def named_buffers(self, model: Any) -> dict[str, Leaf]:
        """The buffers of a model, by dotted name."""


@runtime_checkable
class ClipsGradients(Protocol):
    """Capability: `gradcheck train` can clip gradients."""

    def clip_gradients(self, leaves: Sequence[Leaf], max_norm: float) -> float:
        """Scale all gradients down so that their joint norm is at most max_norm; returns the norm
        before."""


@runtime_checkable
class FindsResults(Protocol):
    """Capability: `graph` says when something registered as a parameter is the result of an op."""

    def not_leaves(self, model: Any) -> dict[str, str]:
        """Such tensors by dotted name, each with the line of the op ('' where it is not known)."""


@dataclass(frozen=True)
class Cut:
    """A place where values left the graph and came back as a new tensor.

    kind: 'rebuilt' (Tensor(x.data)), 'detach', 'no_grad', 'item'. where: the line of the cut, with
    its text in `text`. source: name of the op that made the tensor it came from, and source_where
    its line. upstream: names of the leaves behind this cut. only: those of them that reach the loss
    in no other way; () where the adapter cannot say. function: name of the function around the
    line. inside: the line inside the framework itself, where the cut happened below the user's
    line. name: the tensor as the line calls it. left: the line where its values left the graph,
    where that is another one.
    """

    kind: str
    where: str
    text: str
    source: str | None = None
    source_where: str | None = None
    shape: tuple[int, ...] = ()
    upstream: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    function: str = ""
    inside: str | None = None
    name: str | None = None
    left: str | None = None


class CutTrace(Protocol):
    """What was recorded while `trace_cuts` was active: a `gradcheck.frameworks.shadow.ShadowGraph`,
    or something else with this method."""

    def cuts(self, output: Output, leaves: Mapping[str, Leaf]) -> list[Cut]:
        """The cuts that lie between `output` and `leaves`, nearest the output first."""


@runtime_checkable
class TracesCuts(Protocol):
    """Capability: `graph` names the line where the graph was cut, and sees a gradient of which a
    part is cut off."""

    def trace_cuts(self) -> AbstractContextManager[CutTrace]:
        """Record while a model is made and run once forward; replace nothing afterwards."""


Through = Callable[[str, Array, FrameType | None], Array]
"""through(kind, values, frame) -> what takes the place of values that leave the graph. kind: see
`Cut.kind`. frame: the innermost outside the framework. Returns `values` itself for no change."""


@runtime_checkable
class HoldsStops(Protocol):
    """Capability: `gradient: {stop: [...]}` holds what a program detaches on purpose, and a wrong
    gradient that a detach explains names its line."""

    def holding(self, through: Through) -> AbstractContextManager[None]:
        """While active, floating values of tensors that need a gradient go through `through` when
        they leave the graph: by `detach`, as an array, as a number, or in an op under `no_grad`."""


InPlaceOf = Callable[[OpCall, Array], Array]
"""in_place_of(call, result) -> what the call gives instead; `result` itself for no change."""


@runtime_checkable
class ReplacesResults(Protocol):
    """Capability: `gradient: {surrogate: {...}}` verifies a model around an op whose backward is
    meant to be another than the derivative of its forward."""

    def replacing(self, in_place_of: InPlaceOf) -> AbstractContextManager[None]:
        """While active, the result of every op that a user can write (where an input needs a
        gradient) is what `in_place_of` returns; its backward stays."""


# --- watching a training script -------------------------------------------------------------------


class TrainingListener(Protocol):
    """What `WatchesTraining` tells. Everything is called where it happens in the script."""

    def optimizer_made(self, optimizer: Any) -> None:
        """An optimizer was made."""

    def model_called(
        self, model: Any, args: Sequence[Any], kwargs: Mapping[str, Any], output: Any
    ) -> None:
        """A module was called by a line outside any module, and returned `output`."""

    def loss_called(
        self, name: str, output: Output, target: Any, options: Mapping[str, Any], result: Output
    ) -> None:
        """A loss function of the framework returned `result`."""

    def batch_drawn(self, loader: Any, number: int) -> None:
        """A loader gave its batch `number` (from 0) since it was last started."""

    def before_backward(self, output: Output) -> bool:
        """backward() was called on `output`; False leaves it out."""

    def after_backward(self, output: Output) -> None:
        """It has run."""

    def before_step(self, optimizer: Any) -> None:
        """optimizer.step() was called; a closure that it was given has not run yet."""

    def after_step(self, optimizer: Any) -> None:
        """The weights have moved."""


@runtime_checkable
class WatchesTraining(Protocol):
    """Capability: `python -m gradcheck watch` diagnoses a training script."""

    def watch_training(self, listener: TrainingListener) -> AbstractContextManager[None]:
        """Tell the listener what the script does, from now on."""

    def held(self, optimizer: Any) -> list[Leaf]:
        """The tensors that an optimizer moves, repeats included."""

    def is_module(self, value: Any) -> bool:
        """Whether a value is a model or a layer."""


@runtime_checkable
class BridgesCuts(Protocol):
    """Capability: `watch` judges the learning rate of a script whose graph is cut."""

    def bridge_cuts(self, cuts: Sequence[Cut]) -> AbstractContextManager[list[str]]:
        """At the lines of these cuts, let the new tensor carry its gradient on to where its values
        came from. The list fills with a sentence for each that could not be bridged."""


@runtime_checkable
class RecordsHandwritten(Protocol):
    """Capability: `watch` checks backwards that a user wrote, without running a forward again."""

    def record_handwritten(self, output: Output) -> AbstractContextManager[list[OpCall]]:
        """The calls made meanwhile of such functions as stand behind `output`."""


# --- capabilities of a CutTrace -------------------------------------------------------------------


@runtime_checkable
class SkipsBuilding(Protocol):
    """Capability of a `CutTrace`: cuts in the initialisation of a model do not count."""

    def built(self) -> None:
        """The model is made; from here on cuts count."""


@runtime_checkable
class KnowsOrigins(Protocol):
    """Capability of a `CutTrace`: findings about a parameter name the line that made it, and a
    parameter that was frozen on purpose is left alone. Lines are 'file:line'; None if not known."""

    def made_at(self, leaf: Leaf) -> str | None:
        """The user's line that made a leaf."""

    def off_at(self, leaf: Leaf) -> str | None:
        """The line that turned `requires_grad` off after a leaf was made with it on."""

    def frozen_at(self, leaf: Leaf) -> str | None:
        """The same line, where code outside the leaf's own layer did it: that was on purpose."""


# --- capabilities of datasets and models ----------------------------------------------------------


@runtime_checkable
class HasLoader(Protocol):
    """Capability of a dataset: it makes its own batches, and `loader` checks them."""

    def loader(self, batch_size: int, shuffle: bool, seed: int) -> Iterable[tuple[Array, ...]]:
        """The batches of an epoch each time it is iterated."""


@runtime_checkable
class HasValidation(Protocol):
    """Capability of a dataset: `gradcheck train` reports the loss on held-out samples."""

    def validation(self) -> Any:
        """A dataset of samples that are not trained on; None for none."""


@runtime_checkable
class TellsSource(Protocol):
    """Capability of a dataset: `gradcheck train` says which data it trains on."""

    @property
    def source(self) -> str:
        """A few words, or a file."""


@runtime_checkable
class Tokenizes(Protocol):
    """Capability of a dataset: with a model that `Generates`, `gradcheck train` prints samples."""

    def encode(self, text: str) -> Any:
        """The ids of a text, as an array of one axis."""

    def decode(self, ids: Any) -> str:
        """The text of ids."""


@runtime_checkable
class Generates(Protocol):
    """Capability of a model: with a dataset that `Tokenizes`, `gradcheck train` prints samples."""

    def generate(self, ids: Any, count: int, *, temperature: float, seed: int) -> Any:
        """The ids, and `count` more after them."""
