"""What gradcheck asks of a framework. An adapter is one class with these methods.

Arrays that cross this boundary are numpy's. `Leaf` and `Output` are the framework's own objects;
gradcheck only hands them back. Adapters of four small educational frameworks and of PyTorch need
nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
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
        """What ought to train, by dotted name: an attribute walk over modules, lists, dicts and
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

    An attribute `defined` may say where its backward stands, 'file:line'; without it, or with None,
    it is an op of the framework itself.
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
class MayDraw(Protocol):
    """Capability of an op call: it knows whether it draws random numbers."""

    def draws(self) -> bool:
        """Whether a run draws from a generator. What it draws may follow the memory layout."""


@runtime_checkable
class HasRandomState(Protocol):
    """Capability of a framework: the state of its global generator can be compared. It keeps the
    layout law from accusing an op that is random."""

    def random_state(self) -> bytes:
        """The state now; another one after anything was drawn."""


@runtime_checkable
class HasTape(Protocol):
    """Capability: op-level checks and blame."""

    def tape(self, output: Output, leaves: Mapping[str, Leaf]) -> list[OpCall]:
        """The op calls behind `output`, each after the calls it depends on; the last made
        `output`. Call it before `backward`: some frameworks erase the graph."""


@runtime_checkable
class HasHandwritten(Protocol):
    """Capability, for a framework without a tape: the functions whose backward a user wrote."""

    def handwritten(self, run: Callable[[], Output]) -> list[OpCall]:
        """The calls of such functions behind what `run` returns. Their sources are unknown (None).
        `run` may be called several times."""


@runtime_checkable
class WatchesCalls(Protocol):
    """Capability, for frameworks without a tape: the line at which two runs part."""

    def watch_calls(self) -> AbstractContextManager[list[Any]]:
        """Everything that is called meanwhile, in order, as `OpCall`s of which only the pullback
        may be missing; filled when the context is left at the latest."""


@runtime_checkable
class KeepsGraph(Protocol):
    """Capability: pulling back more than once through the same output, for ops without a tape."""

    def pull(self, output: Output, leaves: Sequence[Leaf], cotangent: Array) -> list[Array | None]:
        """The cotangents of `leaves`, None for none. The graph is kept, nothing is accumulated, and
        `cotangent` is handed on as it is, not as a copy: a backward that writes into it is seen."""


@runtime_checkable
class HasBuffers(Protocol):
    """Capability: state that is not trained (running statistics)."""

    def named_buffers(self, model: Any) -> dict[str, Leaf]: ...


@runtime_checkable
class ClipsGradients(Protocol):
    """Capability: gradient clipping in training."""

    def clip_gradients(self, leaves: Sequence[Leaf], max_norm: float) -> float:
        """Scale all gradients down so that their joint norm is at most max_norm; returns the norm
        before."""


@dataclass(frozen=True)
class Cut:
    """A place where values left the graph and came back as a new tensor.

    kind: 'rebuilt' (Tensor(x.data)), 'detach', 'no_grad', 'item'. where: the line of the cut, with
    its text in `text`. source: name of the op that made the tensor it came from, and source_where
    its line. upstream: names of the leaves that only reach the loss through this cut.
    function: name of the function that the line stands in. inside: the line inside the framework
    itself, where the cut happened below the user's line. name: the tensor as the line calls it.
    left: the line where its values left the graph, where that is another one.
    """

    kind: str
    where: str
    text: str
    source: str | None = None
    source_where: str | None = None
    shape: tuple[int, ...] = ()
    upstream: tuple[str, ...] = ()
    function: str = ""
    inside: str | None = None
    name: str | None = None
    left: str | None = None


class CutTrace(Protocol):
    """What was recorded while `trace_cuts` was active."""

    def cuts(self, output: Output, leaves: Mapping[str, Leaf]) -> list[Cut]:
        """The cuts that lie between `output` and leaves that it does not reach, nearest the
        output first."""


@runtime_checkable
class TracesCuts(Protocol):
    """Capability: naming the line where the graph was cut."""

    def trace_cuts(self) -> AbstractContextManager[CutTrace]: ...
