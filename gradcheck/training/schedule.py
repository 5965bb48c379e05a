"""The learning rate at every step, as a share of the optimizer's own."""

from __future__ import annotations

import math
from typing import Any

from gradcheck.yamlcases.case import ScheduleSpec


def factor(spec: ScheduleSpec, step: int, steps: int) -> float:
    """The share at `step` (from 0) of `steps`: it has no state, so a resumed run is unchanged.

    The first rate of a warm-up is 1 / (warmup + 1), not 0, so no step is wasted.
    """
    if step < spec.warmup:
        return (step + 1) / (spec.warmup + 1)
    done = min((step - spec.warmup) / max(steps - spec.warmup, 1), 1.0)
    if spec.name == "linear":
        height = 1 - done
    elif spec.name == "cosine":
        height = (1 + math.cos(math.pi * done)) / 2
    else:
        return 1.0
    return spec.final + (1 - spec.final) * height


class Rates:
    """Sets the learning rates of an optimizer that has PyTorch's `param_groups`, or an `lr`.

    Raises AttributeError, with what to do, for an optimizer that has neither.
    """

    def __init__(self, optimizer: Any, spec: ScheduleSpec) -> None:
        self.spec = spec
        groups = getattr(optimizer, "param_groups", None)
        if isinstance(groups, list):
            self._targets = [(group, float(group["lr"])) for group in groups]
        elif hasattr(optimizer, "lr"):
            self._targets = [(vars(optimizer), float(optimizer.lr))]
        elif spec == ScheduleSpec():
            self._targets = []
        else:
            raise AttributeError(
                f"{type(optimizer).__name__} has neither `param_groups` nor `lr`, so its learning "
                "rate cannot follow a schedule; remove `schedule:` from `train:`"
            )

    def set(self, step: int, steps: int) -> None:
        """Before the update of `step`."""
        share = factor(self.spec, step, steps)
        for holder, base in self._targets:
            holder["lr"] = base * share
