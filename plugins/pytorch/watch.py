"""What a training script does with PyTorch, told to a listener; and cuts of it, bridged."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.utils.data
from torch.optim import optimizer as optimizers
from torch.overrides import TorchFunctionMode

from gradcheck import Cut, OpCall, TrainingListener, positions

from .arrays import as_array
from .cuts import user_line
from .handwritten import FunctionCall, functions_behind, recorded

LOSSES = (
    "cross_entropy",
    "nll_loss",
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "kl_div",
)
MAKERS = ("tensor", "as_tensor", "from_numpy", "asarray")


class Patches:
    """Attributes that are replaced until `undo`."""

    def __init__(self) -> None:
        self._saved: list[tuple[Any, str, Any]] = []

    def replace(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        original = getattr(owner, name)
        self._saved.append((owner, name, original))
        setattr(owner, name, make(original))

    def undo(self) -> None:
        while self._saved:
            owner, name, original = self._saved.pop()
            setattr(owner, name, original)


@contextmanager
def watch_training(listener: TrainingListener) -> Iterator[None]:
    """Replace the ways to make an optimizer, to call a model or a loss, to go back and to step."""
    patches = Patches()
    patches.replace(torch.Tensor, "backward", lambda f: _backward(f, listener))
    patches.replace(torch.nn.Module, "__call__", lambda f: _model(f, listener))
    patches.replace(optimizers.Optimizer, "__init__", lambda f: _made(f, listener))
    patches.replace(torch.utils.data.DataLoader, "__init__", _alone)
    patches.replace(torch.utils.data.DataLoader, "__iter__", lambda f: _loader(f, listener))
    patches.replace(torch, "save", _save)
    # One thread: the trials share the machine, and a process with threads cannot be forked.
    patches.replace(torch, "set_num_threads", lambda f: lambda count: None)
    for name in LOSSES:
        make = functools.partial(_loss, name=name, listener=listener)
        patches.replace(torch.nn.functional, name, make)
    hooks = [
        optimizers.register_optimizer_step_pre_hook(lambda o, a, k: listener.before_step(o)),
        optimizers.register_optimizer_step_post_hook(lambda o, a, k: listener.after_step(o)),
    ]
    try:
        yield
    finally:
        patches.undo()
        for hook in hooks:
            hook.remove()


def _backward(original: Any, listener: TrainingListener) -> Any:
    def backward(self: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        if listener.before_backward(self):
            original(self, *args, **kwargs)
        listener.after_backward(self)

    return backward


def _model(original: Any, listener: TrainingListener) -> Any:
    depth = 0

    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807
        nonlocal depth
        depth += 1
        try:
            output = original(self, *args, **kwargs)
        finally:
            depth -= 1
        if depth == 0:
            listener.model_called(self, args, kwargs, output)
        return output

    return __call__


def _made(original: Any, listener: TrainingListener) -> Any:
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        original(self, *args, **kwargs)
        listener.optimizer_made(self)

    return __init__


def _loss(original: Any, name: str, listener: TrainingListener) -> Any:
    def loss(input: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(input, target, *args, **kwargs)
        listener.loss_called(name, input, target, kwargs, result)
        return result

    return loss


def _alone(original: Any) -> Any:
    """A loader without worker processes: those do not survive a fork."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        for name in ("num_workers", "persistent_workers", "prefetch_factor", "timeout"):
            kwargs.pop(name, None)
        original(self, *args[:5], **dict(zip(("collate_fn", "pin_memory"), args[6:8])), **kwargs)

    return __init__


def _loader(original: Any, listener: TrainingListener) -> Any:
    def __iter__(self: Any) -> Iterator[Any]:  # noqa: N807
        for number, batch in enumerate(original(self)):
            listener.batch_drawn(self, number)
            yield batch

    return __iter__


def _save(original: Any) -> Any:
    """Through Python's open(): the writer in C++ cannot be sent to another folder."""

    def save(obj: Any, f: Any, *args: Any, **kwargs: Any) -> None:
        if hasattr(f, "write"):
            original(obj, f, *args, **kwargs)
            return
        with open(f, "wb") as file:
            original(obj, file, *args, **kwargs)

    return save


@contextmanager
def record_handwritten(output: Any) -> Iterator[list[OpCall]]:
    """See `RecordsHandwritten`."""
    calls: list[FunctionCall] = []
    with ExitStack() as stack:
        for function in functions_behind(output):
            stack.enter_context(recorded(function, calls))
        yield calls  # type: ignore[misc]


class Bridge(TorchFunctionMode):
    """On given lines, what leaves the graph stays in it."""

    def __init__(self, cuts: Sequence[Cut]) -> None:
        super().__init__()
        self.failed: list[str] = []
        self._lines = {line for cut in cuts for line in (cut.where, cut.left) if line}
        quiet = [cut for cut in cuts if cut.kind == "no_grad"]
        self._quiet = {(cut.where.rpartition(":")[0], cut.function) for cut in quiet}
        self._left: torch.Tensor | None = None

    def here(self) -> bool:
        return str(user_line()) in self._lines

    def _in_quiet(self) -> bool:
        """Whether the function runs whose operations lost their graph to no_grad."""
        at = user_line()
        return at is not None and (str(at).rpartition(":")[0], at.function) in self._quiet

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", str(func))
        if name == "__get__":
            name = str(getattr(func.__self__, "__name__", name))
        if self._quiet and not torch.is_grad_enabled() and self._in_quiet():
            with torch.enable_grad():
                return func(*args, **kwargs)
        source = args[0] if args and isinstance(args[0], torch.Tensor) else None
        if source is not None and source.requires_grad:
            if name in ("detach", "data") and self.here():
                self._left = source
                return source.view_as(source)
            if name in ("numpy", "__array__", "tolist") and self.here():
                self._left = source
                return func(source.detach(), *args[1:], **kwargs)
        out = func(*args, **kwargs)
        return self.joined(out) if name in MAKERS else out

    def joined(self, new: torch.Tensor) -> torch.Tensor:
        """A tensor made of values: those of the tensor that last left the graph, if it holds
        them."""
        source = self._left
        if source is None or not new.is_floating_point() or not self.here():
            return new
        index = positions(as_array(new), as_array(source))
        if index is None:
            self.failed.append("the new tensor holds other values than the one it was made from")
            return new
        places = torch.from_numpy(index.copy()).to(source.device)
        return source.reshape(-1)[places].reshape(new.shape).to(new.dtype)


@contextmanager
def bridge_cuts(cuts: Sequence[Cut]) -> Iterator[list[str]]:
    """See `BridgesCuts`."""
    bridge = Bridge(cuts)
    patches = Patches()

    def from_numpy(original: Any) -> Any:  # the one maker that a mode does not see
        return lambda array: bridge.joined(original(array))

    patches.replace(torch, "from_numpy", from_numpy)
    try:
        with bridge:
            yield bridge.failed
    finally:
        patches.undo()
