"""Whether a function keeps to its own memory: guard zones, poison, and calls in another order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gradcheck import Array, MemoryFault

Tensor = torch.Tensor
Function = Callable[[Mapping[str, Tensor]], Any]

GUARD = 256
"""Numbers before and after each tensor: more than a block of a usual kernel reads too far."""
POISONS = (3.0, -1e3)
"""What stands there: a function that reads it gives another result with another poison."""
AGREE = 8.0
"""How many times two calls may lie further apart than two equal calls do."""


@dataclass
class Guarded:
    """A tensor in the middle of a larger one."""

    around: Tensor
    inside: Tensor

    @classmethod
    def of(cls, values: Tensor, poison: float) -> Guarded:
        around = torch.full((values.numel() + 2 * GUARD,), poison, dtype=values.dtype)
        inside = around[GUARD : GUARD + values.numel()].view(values.shape)
        inside.copy_(values)
        return cls(around, inside)

    def changed(self, values: Tensor) -> bool:
        return not torch.equal(torch.nan_to_num(self.inside), torch.nan_to_num(values))

    def overrun(self, poison: float) -> bool:
        ends = torch.cat([self.around[:GUARD], self.around[self.around.numel() - GUARD :]])
        return bool((ends != poison).any())


class Memory:
    """Calls of `fn` on tensors with guard zones.

    fn: called with tensors by name. arrays: their values. trainable: which are differentiated.
    """

    def __init__(
        self,
        fn: Function,
        arrays: Mapping[str, Array],
        trainable: Mapping[str, bool],
        dtype: str,
        seed: int,
    ) -> None:
        self.fn, self.trainable = fn, trainable
        self.values = {n: _tensor(a, dtype) for n, a in arrays.items()}
        self.rng = torch.Generator().manual_seed(seed)
        self.faults: dict[tuple[str, str | None], MemoryFault] = {}

    def add(self, kind: str, leaf: str | None = None, during: str = "") -> None:
        self.faults.setdefault((kind, leaf), MemoryFault(kind, leaf, during))

    # --- calls ----------------------------------------------------------------------------

    def leaves(
        self, poison: float, factor: float = 1.0
    ) -> tuple[dict[str, Tensor], dict[str, Any]]:
        guards = {}
        for name, value in self.values.items():
            value = value * factor if value.is_floating_point() else value
            guards[name] = (Guarded.of(value, poison), value)
        given = {
            n: g.inside.detach().requires_grad_(self.trainable.get(n, False))
            for n, (g, _) in guards.items()
        }
        return given, guards

    def look(
        self, poison: float, guards: Mapping[str, tuple[Guarded, Tensor]], during: str
    ) -> None:
        for name, (guard, value) in guards.items():
            if guard.overrun(poison):
                self.add("writes_outside", name, during)
            if guard.changed(value):
                self.add("writes_input", name, during)

    def once(self, poison: float, zero: bool = False) -> tuple[Tensor, dict[str, Tensor]] | None:
        """One forward and backward, with a look at all memory after each."""
        given, guards = self.leaves(poison)
        output = self.fn(given)
        if not isinstance(output, Tensor) or not output.requires_grad:
            return None
        result = output.detach().clone()
        self.look(poison, guards, "forward")
        cotangent = self.cotangent(output, zero)
        g = Guarded.of(cotangent, poison)
        # a sum in front of the backward: the incoming gradient belongs to somebody else too
        torch.autograd.backward(output, g.inside)
        self.look(poison, guards, "backward")
        if g.changed(cotangent):
            self.add("writes_cotangent")
        if g.overrun(poison):
            self.add("writes_outside", None, "backward")
        return result, self.gradients(given)

    def cotangent(self, output: Tensor, zero: bool = False) -> Tensor:
        if zero:
            return torch.zeros(output.shape, dtype=output.dtype)
        self.rng.manual_seed(5)
        return torch.randn(output.shape, generator=self.rng).to(output.dtype)

    def gradients(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {n: t.grad.clone() for n, t in given.items() if t.grad is not None}

    # --- questions ------------------------------------------------------------------------

    def examine(self) -> list[MemoryFault]:
        with filled_memory():  # so that two equal calls find the same in memory nobody wrote
            first, again = self.once(POISONS[0]), self.once(POISONS[0])
            other, nothing = self.once(POISONS[1]), self.once(POISONS[0], zero=True)
        plain = self.once(POISONS[0])
        if first is None or again is None or other is None or nothing is None or plain is None:
            return list(self.faults.values())
        self.compare("reads_outside", first, again, other)
        self.compare("reads_unwritten", first, again, plain)
        if not self.faults:
            self.between(first, again)
        for name, gradient in nothing[1].items():
            if bool((gradient != 0).any()) and ("reads_unwritten", name) not in self.faults:
                self.add("not_zero", name)
        return list(self.faults.values())

    def compare(self, kind: str, first: Any, again: Any, other: Any) -> None:
        if _apart(first[0], other[0], _distance(first[0], again[0])):
            self.add(kind, None, "forward")
            return
        for name, gradient in first[1].items():
            noise = _distance(gradient, again[1][name])
            if _apart(gradient, other[1].get(name), noise):
                self.add(kind, name, "backward")

    def between(self, first: Any, again: Any) -> None:
        """The same call with another one in between: forward, other forward, other backward."""
        given, _ = self.leaves(POISONS[0])
        mine = self.fn(given)
        noise = _distance(first[0], again[0])
        kept = mine.detach().clone()
        given_other, _ = self.leaves(POISONS[0], factor=0.5)
        try:
            theirs = self.fn(given_other)
            theirs.backward(self.cotangent(theirs))
        except Exception:  # the function need not take smaller inputs
            return
        if _apart(kept, mine.detach(), 0.0):
            self.add("reuses_output", None, "forward")
        mine.backward(self.cotangent(mine))
        for name, gradient in self.gradients(given).items():
            noise = _distance(first[1][name], again[1][name])
            if _apart(first[1][name], gradient, noise):
                self.add("depends_on_order", name, "backward")


@contextmanager
def filled_memory() -> Iterator[None]:
    """Memory of `torch.empty` and its like starts as NaN, or as the largest whole number."""
    before = torch.are_deterministic_algorithms_enabled()
    warn = torch.is_deterministic_algorithms_warn_only_enabled()
    settings: Any = torch.utils.deterministic
    filled = settings.fill_uninitialized_memory
    # the public function imports the compiler first, which takes seconds
    deterministic = getattr(
        torch._C, "_set_deterministic_algorithms", torch.use_deterministic_algorithms
    )
    deterministic(True, warn_only=True)
    settings.fill_uninitialized_memory = True
    try:
        yield
    finally:
        settings.fill_uninitialized_memory = filled
        deterministic(before, warn_only=warn)


def _tensor(array: Array, dtype: str) -> Tensor:
    made = torch.from_numpy(np.array(array))
    return made.to(getattr(torch, dtype)) if made.is_floating_point() else made


def _distance(a: Tensor, b: Tensor) -> float:
    if a.shape != b.shape:
        return float("inf")
    return float((a.double() - b.double()).abs().nan_to_num(0.0).max()) if a.numel() else 0.0


def _apart(a: Tensor, b: Tensor | None, noise: float) -> bool:
    if b is None or a.shape != b.shape:
        return True
    if not torch.equal(torch.isfinite(a), torch.isfinite(b)):
        return True
    return _distance(a, b) > AGREE * noise
