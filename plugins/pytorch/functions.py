"""Calls of the `torch.autograd.Function`s of some packages, while a program runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from gradcheck import MetFunction, defined_at

from .arrays import as_array

Function = torch.autograd.Function
Wanted = Callable[[str, str, int], bool]
Met = Callable[[MetFunction], None]

LONGEST_VALUE = 40
"""Characters of an argument that is no tensor."""


@contextmanager
def watched(packages: Sequence[str], wanted: Wanted, met: Met) -> Iterator[list[str]]:
    """See `WatchesFunctions`. `forward` is what is wrapped, and not `apply`: a package often keeps
    `apply` under a name of its own."""
    own: list[tuple[Any, Any]] = []
    try:
        for function in _functions(packages):
            if "forward" in vars(function):
                own.append((function, vars(function)["forward"]))
        watch = _Watch(wanted, met)
        for function, forward in own:
            function.forward = watch.noting(function, forward)
        yield [f"{f.__module__}.{f.__qualname__}" for f, _ in own]
    finally:
        for function, forward in own:
            function.forward = forward


def _functions(packages: Sequence[str]) -> list[type[Function]]:
    """Every class below Function that one of the packages defines."""
    found: dict[type[Function], None] = {}
    stack: list[type[Function]] = list(Function.__subclasses__())
    while stack:
        cls = stack.pop()
        if cls in found:
            continue
        found[cls] = None
        stack += cls.__subclasses__()
    names = [(cls, str(cls.__module__)) for cls in found]
    return [c for c, m in names if any(m == p or m.startswith(f"{p}.") for p in packages)]


class _Watch:
    def __init__(self, wanted: Wanted, met: Met) -> None:
        self.wanted, self.met = wanted, met
        self._inside: list[Any] = []

    def noting(self, owner: type[Function], own: Any) -> Any:
        """What takes the place of `own`, the forward in the class `owner`."""
        bound = isinstance(own, classmethod)
        forward = getattr(own, "__func__", own)
        has_ctx = owner.setup_context is Function.setup_context
        first = int(bound) + int(has_ctx)
        parameters = list(inspect.signature(forward).parameters.values())[first:]
        names = [p.name for p in parameters if p.kind is not p.VAR_POSITIONAL]

        def noted(*arguments: Any, **keywords: Any) -> Any:
            ctx = arguments[first - 1] if has_ctx and len(arguments) >= first else object()
            function = arguments[0] if bound else _called(owner, ctx)
            found = None
            # with keywords, or with the ctx of the call around it, no `apply` has called it
            if not keywords and all(ctx is not c for c in self._inside):
                found = self._look(function, arguments[first:], names)
            self._inside.append(ctx)
            try:
                result = forward(*arguments, **keywords)
            finally:
                self._inside.pop()
            if found is not None and _finite(result):
                self.met(found)
            return result

        return classmethod(noted) if bound else staticmethod(noted)

    def _look(
        self, function: type[Function], arguments: Sequence[Any], names: Sequence[str]
    ) -> MetFunction | None:
        tensors = [a for a in arguments if isinstance(a, torch.Tensor)]
        needs = [t.requires_grad and t.is_floating_point() for t in tensors]
        if self._inside and not any(needs):  # a part of another Function, which is checked itself
            return None
        if not tensors or not all(map(_plain, tensors)):
            return None
        names = [*names, *(f"input{i}" for i in range(len(names), len(arguments)))]
        slots = [i for i, a in enumerate(arguments) if isinstance(a, torch.Tensor)]
        said = ", ".join(_shown(n, a) for n, a in zip(names, arguments))
        required = tuple(names[i] for i, need in zip(slots, needs) if need)
        if required:
            said += f"; wrt {', '.join(required)}"
        title = f"{function.__module__}.{function.__qualname__}"
        size = sum(t.numel() * t.element_size() for t in tensors)
        if not self.wanted(title, said, size) or not all(map(_finite, tensors)):
            return None
        return MetFunction(
            name=function.__name__,
            module=str(function.__module__),
            defined=defined_at(function.backward),
            arguments=said,
            inputs={names[i]: as_array(arguments[i]) for i in slots},
            needs=required,
            run=_again(function, _constants(arguments), slots),
        )


def _constants(arguments: Sequence[Any]) -> list[Any]:
    """The arguments without their tensors."""
    return [None if isinstance(a, torch.Tensor) else a for a in arguments]


def _called(owner: type[Function], ctx: Any) -> type[Function]:
    """The class whose `apply` was called: one that inherits this forward, perhaps."""
    called = getattr(type(ctx), "_forward_cls", owner)
    return called if isinstance(called, type) and issubclass(called, owner) else owner


def _plain(tensor: torch.Tensor) -> bool:
    """A tensor that an array can stand for. Under vmap and its like there is none."""
    if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        return False
    return tensor.layout is torch.strided and not tensor.is_complex()


def _finite(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return not value.is_floating_point() or bool(torch.isfinite(value.detach()).all())
    return all(map(_finite, value)) if isinstance(value, (tuple, list)) else True


def _shown(name: str, value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{name} {tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, (int, float, bool, str, type(None), torch.dtype, torch.device)):
        text = repr(value)
    elif isinstance(value, (tuple, list)):
        text = f"({', '.join(_shown('', v).strip('=').strip() for v in value)})"
    else:
        text = getattr(value, "__name__", type(value).__name__)
    short = text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."
    return f"{name}={short}"


def _again(
    function: type[Function], arguments: Sequence[Any], slots: Sequence[int]
) -> Callable[..., Any]:
    def run(*tensors: Any) -> Any:
        given = list(arguments)
        for slot, tensor in zip(slots, tensors):
            given[slot] = tensor.clone()  # a Function may work in place, which a leaf forbids
        wide = next((t.dtype for t in tensors if t.is_floating_point()), torch.float64)
        result = function.apply(*[_as(wide, value) for value in given])
        outputs = result if isinstance(result, (tuple, list)) else (result,)
        floating = [t for t in outputs if isinstance(t, torch.Tensor) and t.is_floating_point()]
        if len(floating) == 1:
            return floating[0]
        return torch.cat([t.reshape(-1) for t in floating])

    return run


def _as(dtype: torch.dtype, value: Any) -> Any:
    """Constants in lists and tuples get the dtype of the inputs."""
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return type(value)(
            v.detach().to(dtype) if isinstance(v, torch.Tensor) and v.is_floating_point() else v
            for v in value
        )
    return value
