"""An optimizer that a user made, made again on a copy of the model, with another rate if asked."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from gradcheck.frameworks.protocol import Framework
from gradcheck.probe.subject import OptimizerSpec


def spec_of(given: Any, model: Any, framework: Framework) -> OptimizerSpec:
    """given: an optimizer that holds tensors of `model`, or a function of the parameters that makes
    one (`lambda parameters: SGD(parameters, lr=0.1)`)."""
    if callable(getattr(given, "step", None)) and not isinstance(given, type):
        return OptimizerSpec(type(given).__name__, _again(given, model, framework))
    name = str(getattr(getattr(given, "func", given), "__name__", "optimizer"))  # of a partial too

    def make(model: Any, **changes: Any) -> Any:
        return with_rate(given(framework.optimized(model)), **changes)

    return OptimizerSpec("optimizer" if name == "<lambda>" else name, make)


def _again(given: Any, original: Any, framework: Framework) -> Callable[..., Any]:
    names = {id(leaf): name for name, leaf in framework.named_parameters(original).items()}

    def make(model: Any, **changes: Any) -> Any:
        leaves = framework.named_parameters(model)
        memo = {of: leaves[name] for of, name in names.items() if name in leaves}
        return with_rate(remade(given, memo), **changes)

    return make


def remade(optimizer: Any, stand_ins: dict[int, Any]) -> Any:
    """The same optimizer on other tensors. stand_ins: id of a tensor that it holds -> the other.

    Attribute by attribute: `copy.deepcopy` of a PyTorch optimizer loses what a subclass keeps. What
    it remembers of earlier steps stays behind: moments of another dtype cannot be used.
    """
    if not hasattr(optimizer, "__dict__"):
        return copy.deepcopy(optimizer, dict(stand_ins))
    new = object.__new__(type(optimizer))
    memo = {**stand_ins, id(optimizer): new}
    for name, value in vars(optimizer).items():
        if name == "state" and isinstance(value, dict):
            value = copy.copy(value)
            value.clear()
        new.__dict__[name] = copy.deepcopy(value, memo)
    return new


def with_rate(optimizer: Any, lr: float | None = None) -> Any:
    """The optimizer with `lr` as the rate of its first group; the others keep their ratio to it.

    Raises TypeError where no rate can be seen.
    """
    if lr is None:
        return optimizer
    groups = getattr(optimizer, "param_groups", None)
    if isinstance(groups, list) and groups and isinstance(groups[0], dict) and "lr" in groups[0]:
        first = float(groups[0]["lr"])
        for group in groups:
            group["lr"] = lr * float(group["lr"]) / first if first else lr
    elif isinstance(getattr(optimizer, "lr", None), (int, float)):
        optimizer.lr = lr
    else:
        raise TypeError(f"{type(optimizer).__name__} shows no learning rate")
    return optimizer
