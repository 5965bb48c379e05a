"""The adapter of PyTorch. Tensors on other devices are copied to the CPU when they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch

from gradcheck import (
    Array,
    Cut,
    MemoryFault,
    MetFunction,
    OpCall,
    Precision,
    TrainingListener,
    call_op,
    walk_leaves,
)

from .arrays import as_array, as_cotangent
from .calls import SeenCall, Watching
from .cuts import Recorder, Trace
from .functions import watched
from .guess import guesses
from .handwritten import handwritten
from .memory import Memory
from .pulling import pull
from .stops import Holding, Through
from .surrogates import InPlaceOf, replacing
from .watch import bridge_cuts, record_handwritten, watch_training

Tensor = torch.Tensor


class PyTorch:
    """PyTorch computes in whatever dtype its tensors have."""

    name = "pytorch"
    precision = Precision()
    low_dtypes = ("float32", "float16", "bfloat16")

    def manual_seed(self, seed: int) -> None:
        # torch.manual_seed also formats a traceback for devices that are not there: 1 ms a call.
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(seed)

    def random_state(self) -> bytes:
        return bytes(torch.get_rng_state().numpy())

    def leaf(self, array: Array, *, trainable: bool, dtype: str | None = None) -> Tensor:
        made = torch.from_numpy(np.array(array))
        if dtype is not None and made.is_floating_point():
            made = made.to(getattr(torch, dtype))
        return made.requires_grad_(trainable)

    def named_parameters(self, model: Any) -> dict[str, Tensor]:
        """Parameters, and plain tensors that require a gradient, wherever the model keeps them.

        A plain tensor without `requires_grad` is a constant: masks and tables are kept that way. A
        Parameter of whole numbers is named too, so that the check can report it.
        """
        buffers = {id(b) for b in self.named_buffers(model).values()}
        return {
            name: leaf
            for name, leaf in walk_leaves(model, torch.Tensor)
            if id(leaf) not in buffers
            and leaf.is_leaf
            and (leaf.requires_grad or isinstance(leaf, torch.nn.Parameter))
        }

    def named_buffers(self, model: Any) -> dict[str, Tensor]:
        return dict(model.named_buffers()) if isinstance(model, torch.nn.Module) else {}

    def optimized(self, model: Any) -> list[Tensor]:
        parameters = getattr(model, "parameters", None)
        if callable(parameters):
            return list(parameters())
        return [p for p in self.named_parameters(model).values() if p.requires_grad]

    def cast(self, model: Any, dtype: str) -> None:
        target = getattr(torch, dtype)
        for leaf in [*self.named_parameters(model).values(), *self.named_buffers(model).values()]:
            if leaf.is_floating_point() or leaf.is_complex():
                wide = torch.complex64 if target is torch.float32 else torch.complex128
                leaf.data = leaf.data.to(wide if leaf.is_complex() else target)
                leaf.grad = None

    def train_mode(self, model: Any, training: bool) -> None:
        if isinstance(model, torch.nn.Module):
            model.train(training)

    def get(self, leaf: Tensor) -> Array:
        return as_array(leaf)

    def set(self, leaf: Tensor, array: Array) -> None:
        values = torch.from_numpy(np.array(array))
        with torch.no_grad():
            leaf.copy_(torch.view_as_complex(values) if leaf.is_complex() else values)

    def trainable(self, leaf: Tensor) -> bool:
        return bool(leaf.requires_grad)

    def forward(self, fn: Callable[[], Any], *, seed: int) -> Any:
        self.manual_seed(seed)
        return fn()

    def value(self, output: Any) -> Array:
        if not isinstance(output, torch.Tensor):
            return np.array(output)
        return as_array(output)

    def backward(self, output: Tensor, cotangent: Array | None) -> None:
        if cotangent is None:
            output.backward()
        else:
            output.backward(as_cotangent(np.array(cotangent), output))

    def join(self, output: Any) -> Tensor | None:
        found = [t for _, t in walk_leaves(output, torch.Tensor)]
        found = [t for t in found if t.is_floating_point() or t.is_complex()]
        found = [t for t in found if t.requires_grad] or found
        if len(found) < 2:
            return found[0] if found else None
        real = [torch.view_as_real(t.resolve_conj()) if t.is_complex() else t for t in found]
        return torch.cat([t.reshape(-1) for t in real])

    def pull(
        self, output: Tensor, leaves: Sequence[Tensor], cotangent: Array
    ) -> list[Array | None]:
        """Gradients of `leaves`; the graph is kept. The backward sees `cotangent` itself."""
        if not cotangent.flags.writeable or any(n < 0 for n in cotangent.strides):
            cotangent = np.array(cotangent, order="C")  # torch takes neither
        given = as_cotangent(cotangent, output)
        if not output.requires_grad:
            return [None] * len(leaves)
        return [None if g is None else as_array(g) for g in pull([output], leaves, [given])]

    def is_complex(self, value: Any) -> bool:
        return isinstance(value, torch.Tensor) and value.is_complex()

    def as_complex(self, leaf: Tensor) -> Tensor:
        return torch.view_as_complex(leaf)

    def grad(self, leaf: Tensor) -> Array | None:
        if leaf.grad is None:
            return None
        return as_array(leaf.grad)

    def hessian_vector(
        self,
        output: Tensor,
        leaves: Mapping[str, Tensor],
        vectors: Mapping[str, Array],
        cotangent: Array | None,
    ) -> dict[str, Array]:
        """Derivative of each leaf's gradient as all leaves move along `vectors`; zeros for none."""
        given = list(leaves.values())
        seed = None if cotangent is None else torch.from_numpy(np.array(cotangent)).to(output.dtype)
        first = torch.autograd.grad(output, given, seed, create_graph=True, allow_unused=True)
        along = [torch.from_numpy(np.array(vectors[n])).to(t.dtype) for n, t in leaves.items()]
        dots = [(g * v).sum() for g, v in zip(first, along) if g is not None and g.requires_grad]
        total: Any = sum(dots)
        second = torch.autograd.grad(total, given, allow_unused=True) if dots else ()
        found = dict(zip(leaves, second or [None] * len(given)))
        return {
            n: np.zeros(tuple(leaves[n].shape)) if g is None else as_array(g)
            for n, g in found.items()
        }

    def zero_grad(self, leaves: Sequence[Tensor]) -> None:
        for leaf in leaves:
            leaf.grad = None

    def call(
        self, op: Callable[..., Any], inputs: Mapping[str, Tensor], args: Mapping[str, Any]
    ) -> Any:
        return call_op(op, inputs, args)

    def handwritten(self, run: Callable[[], Any]) -> list[OpCall]:
        return handwritten(run)

    def memory_faults(
        self,
        fn: Callable[[Mapping[str, Tensor]], Any],
        arrays: Mapping[str, Array],
        *,
        trainable: Mapping[str, bool],
        dtype: str,
        seed: int,
    ) -> list[MemoryFault]:
        return Memory(fn, arrays, trainable, dtype, seed).examine()

    def guess_inputs(self, model: Any, seed: int) -> Iterator[tuple[str, list[Array]]]:
        return guesses(model, seed)

    def watch_functions(
        self,
        packages: Sequence[str],
        wanted: Callable[[str, str, int], bool],
        met: Callable[[MetFunction], None],
    ) -> AbstractContextManager[list[str]]:
        return watched(packages, wanted, met)

    @contextmanager
    def trace_cuts(self) -> Iterator[Trace]:
        graph = Trace()
        with Recorder(graph):
            yield graph

    def watch_training(self, listener: TrainingListener) -> AbstractContextManager[None]:
        return watch_training(listener)

    def bridge_cuts(self, cuts: Sequence[Cut]) -> AbstractContextManager[list[str]]:
        return bridge_cuts(cuts)

    def record_handwritten(self, output: Any) -> AbstractContextManager[list[OpCall]]:
        return record_handwritten(output)

    def held(self, optimizer: Any) -> list[Tensor]:
        return [leaf for group in optimizer.param_groups for leaf in group["params"]]

    def is_module(self, value: Any) -> bool:
        return isinstance(value, torch.nn.Module)

    @contextmanager
    def holding(self, through: Through) -> Iterator[None]:
        with Holding(through):
            yield

    def replacing(self, in_place_of: InPlaceOf) -> AbstractContextManager[None]:
        return replacing(in_place_of)

    @contextmanager
    def watch_calls(self) -> Iterator[list[SeenCall]]:
        watching = Watching()
        with watching:
            yield watching.calls

    def clip_gradients(self, leaves: Sequence[Tensor], max_norm: float) -> float:
        return float(torch.nn.utils.clip_grad_norm_(list(leaves), max_norm))
