"""Backwards written by hand: calls of `torch.autograd.Function`, as op calls that can be run again.

PyTorch's own ops are taken to be right, and its graph cannot be run again. But a Function is a
forward and a backward side by side, so each call of one is recorded with its arguments
and its line, and is checked like an op: every entry of every input, and the laws of a pullback.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch

from gradcheck import Array, OpCall, defined_at

from .arrays import as_array
from .cuts import user_line
from .pulling import pull

Function = torch.autograd.Function


class FunctionCall:
    """An `OpCall` of a Function. Its inputs are the tensors among the arguments.

    The result of a Function with several outputs is all their floating entries, one after another.
    """

    may_stack = False  # native code that trusts its shapes would read outside its memory

    def __init__(
        self,
        function: type[Function],
        arguments: Sequence[Any],
        names: Sequence[str],
        where: str | None,
    ) -> None:
        self.function = function
        self.arguments = list(arguments)
        self.slots = [i for i, a in enumerate(arguments) if isinstance(a, torch.Tensor)]
        tensors = [arguments[i] for i in self.slots]
        self.is_complex = any(t.is_complex() for t in tensors)
        names = [*names, *(f"input{i}" for i in range(len(names), len(arguments)))]
        self.name = function.__name__
        self.where = where
        self.defined = defined_at(function.backward)
        self.inputs = tuple(as_array(t) for t in tensors)
        self.input_names = tuple(names[i] for i in self.slots)
        self.needs = tuple(t.requires_grad and t.is_floating_point() for t in tensors)
        self.sources: tuple[int | str | None, ...] = (None,) * len(tensors)
        self._pulled_once = False
        """A reversible layer gives up what it saved: its graph is good for one backward, which is
        all that training does, and every further one gets a graph of its own."""
        self.attrs: Mapping[str, Any] = {
            names[i]: a for i, a in enumerate(arguments) if i not in self.slots
        }

    def run(self, inputs: Sequence[Any]) -> Array:
        with torch.no_grad():
            return flat(self._apply([_tensor(v) for v in inputs]))

    def vjp(self, inputs: Sequence[Any]) -> tuple[Array, Callable[[Array], list[Array | None]]]:
        outputs, leaves = self._graph(inputs)
        fresh = True

        def pullback(cotangent: Array) -> list[Array | None]:
            nonlocal outputs, leaves, fresh
            if not fresh and self._pulled_once:
                outputs, leaves = self._graph(inputs)
            try:
                return self._pulled(outputs, leaves, cotangent)
            except Exception:
                if fresh:
                    raise
                self._pulled_once = True
                outputs, leaves = self._graph(inputs)
                return self._pulled(outputs, leaves, cotangent)
            finally:
                fresh = False

        return flat(outputs), pullback

    def _graph(self, inputs: Sequence[Any]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """The outputs on leaves of these values, and the leaves."""
        leaves = [_tensor(v).requires_grad_(need) for v, need in zip(inputs, self.needs)]
        with torch.enable_grad():
            # A copy of each: a Function may work in place, which a leaf does not allow.
            return self._apply([leaf.clone() for leaf in leaves]), leaves

    def _pulled(
        self, outputs: Sequence[torch.Tensor], leaves: Sequence[torch.Tensor], cotangent: Array
    ) -> list[Array | None]:
        wanted = [leaf for leaf, need in zip(leaves, self.needs) if need]
        reached = [t for t in outputs if t.requires_grad]
        if not reached or not wanted:
            return [None] * len(leaves)
        parts = parts_of(cotangent, outputs)
        given = [part for part, t in zip(parts, outputs) if t.requires_grad]
        found = iter(pull(reached, wanted, given))
        gradients = [next(found) if need else None for need in self.needs]
        return [None if g is None else as_array(g) for g in gradients]

    def _apply(self, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        arguments = self.arguments.copy()
        for slot, tensor in zip(self.slots, tensors):
            arguments[slot] = tensor
        result = self.function.apply(*arguments)
        outputs = result if isinstance(result, tuple) else (result,)
        return [t for t in outputs if isinstance(t, torch.Tensor) and t.is_floating_point()]


def handwritten(run: Callable[[], Any]) -> list[OpCall]:
    """The calls of Functions behind what `run` returns, in the order in which they ran.

    run: called twice where there is such a Function, once where there is none.
    """
    functions = functions_behind(run())
    calls: list[FunctionCall] = []
    if functions:
        with ExitStack() as stack:
            for function in functions:
                stack.enter_context(recorded(function, calls))
            run()
    # Complex arguments are pairs of numbers here, which the Function itself does not take.
    return [c for c in calls if any(c.needs) and not c.is_complex]


def functions_behind(output: Any) -> list[type[Function]]:
    """The classes of Functions in the graph of `output`, without those of PyTorch itself."""
    found: dict[type[Function], None] = {}
    start = getattr(output, "grad_fn", None)
    stack, seen = [start], {start}
    while stack:
        node = stack.pop()
        if node is None:
            continue
        function = getattr(type(node), "_forward_cls", None)
        if function is not None and not function.__module__.startswith("torch."):
            found[function] = None
        for following, _ in node.next_functions:
            if following not in seen:
                seen.add(following)
                stack.append(following)
    return list(found)


@contextmanager
def recorded(function: type[Function], calls: list[FunctionCall]) -> Iterator[None]:
    """Note every call while it lasts."""
    first, names = names_of(function)

    def noted(forward: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        at = user_line()
        line = None if at is None else str(at)
        calls.append(FunctionCall(function, arguments[first:], names, line))
        return forward(*arguments, **keywords)

    with wrapped(function, noted):
        yield


@contextmanager
def wrapped(function: type[Function], around: Callable[..., Any]) -> Iterator[None]:
    """Call `around(forward, *arguments)` instead of a Function's forward. `forward` is what is
    wrapped, and not `apply`: a program often keeps `apply` under a name of its own."""
    changed: Any = function
    own = function.__dict__.get("forward")
    forward = function.forward

    @functools.wraps(forward)
    def instead(*arguments: Any, **keywords: Any) -> Any:
        return around(forward, *arguments, **keywords)

    changed.forward = staticmethod(instead)
    try:
        yield
    finally:
        if own is None:
            del changed.forward
        else:
            changed.forward = own


def names_of(function: type[Function]) -> tuple[int, list[str]]:
    """How many arguments of a Function's forward come before its own (the context), and the names
    of its own."""
    first = 0 if function.setup_context is not Function.setup_context else 1
    parameters = list(inspect.signature(function.forward).parameters.values())[first:]
    return first, [p.name for p in parameters if p.kind is not p.VAR_POSITIONAL]


def _tensor(value: Array) -> torch.Tensor:
    return torch.from_numpy(np.array(value, order="C"))


def flat(outputs: Sequence[torch.Tensor]) -> Array:
    if len(outputs) == 1:
        return as_array(outputs[0])
    return np.concatenate([as_array(t).reshape(-1) for t in outputs])


def parts_of(cotangent: Array, outputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The cotangent of each output. Not a copy where there is one: a backward that writes into it
    is to be seen."""
    if len(outputs) == 1:
        usable = cotangent.flags.writeable and all(n >= 0 for n in cotangent.strides)
        array = cotangent if usable else np.array(cotangent, order="C")
        return [torch.from_numpy(array).to(outputs[0].dtype)]
    ends = np.cumsum([t.numel() for t in outputs])[:-1]
    return [
        torch.from_numpy(np.array(part)).reshape(t.shape).to(t.dtype)
        for part, t in zip(np.split(cotangent, ends), outputs)
    ]
