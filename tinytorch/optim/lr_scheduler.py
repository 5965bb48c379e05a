"""Learning rates that change with the epoch (or with whatever `step` is called for).

As in PyTorch, a scheduler computes the next rate from the present one, so several on one optimizer
combine; `step()` comes after `optimizer.step()`.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tinytorch.optim.optimizer import Group, Optimizer

Factor = Callable[[int], float]


class LRScheduler:
    """Base. A subclass defines `rate(group, place, t)`. It is called for t = 0 when made, and then
    once a step; at t = 0 the group has its initial rate.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"{type(self).__name__} takes an Optimizer, got {type(optimizer).__name__}"
            )
        self.optimizer = optimizer
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.base_lrs = [float(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = -1
        self.step()

    def rate(self, group: Group, place: int, t: int) -> float:
        """The rate at step t of the group at `place`, from its present `group["lr"]`."""
        raise NotImplementedError(f"{type(self).__name__} defines no rate()")

    def step(self) -> None:
        """Go to the next step and set the rates of the optimizer's groups."""
        self.last_epoch += 1
        for place, group in enumerate(self.optimizer.param_groups):
            group["lr"] = self.rate(group, place, self.last_epoch)
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def restart(self) -> None:
        """Set the optimizer to this schedule's beginning."""
        for group, base in zip(self.optimizer.param_groups, self.base_lrs):
            group["lr"] = base
        self.last_epoch = -1
        self.step()

    def get_last_lr(self) -> list[float]:
        """The rate of each group, as this scheduler last set it."""
        return list(self._last_lr)

    def state_dict(self) -> dict[str, Any]:
        """All but the optimizer and functions."""
        return {
            k: v
            for k, v in vars(self).items()
            if k not in ("optimizer", "lr_lambdas", "_schedulers")
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a saved state. The optimizer's own state_dict holds the present rates."""
        vars(self).update(state_dict)


class LambdaLR(LRScheduler):
    """lr = initial lr * lr_lambda(t); one function for all groups, or one for each."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Factor | Sequence[Factor]) -> None:
        groups = len(optimizer.param_groups)
        self.lr_lambdas = [lr_lambda] * groups if callable(lr_lambda) else list(lr_lambda)
        if len(self.lr_lambdas) != groups:
            raise ValueError(
                f"LambdaLR got {len(self.lr_lambdas)} functions for {groups} parameter groups"
            )
        super().__init__(optimizer)

    def rate(self, group: Group, place: int, t: int) -> float:
        return self.base_lrs[place] * float(self.lr_lambdas[place](t))


class StepLR(LRScheduler):
    """lr *= gamma at every step_size-th step."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        if step_size < 1:
            raise ValueError(f"StepLR needs a step_size of at least 1, got {step_size}")
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer)

    def rate(self, group: Group, place: int, t: int) -> float:
        return group["lr"] * self.gamma if t and t % self.step_size == 0 else group["lr"]


class MultiStepLR(LRScheduler):
    """lr *= gamma at each of the milestones."""

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1) -> None:
        self.milestones = sorted(milestones)
        self.gamma = gamma
        super().__init__(optimizer)

    def rate(self, group: Group, place: int, t: int) -> float:
        return group["lr"] * self.gamma ** self.milestones.count(t)


class ExponentialLR(LRScheduler):
    """lr *= gamma at every step."""

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = gamma
        super().__init__(optimizer)

    def rate(self, group: Group, place: int, t: int) -> float:
        return group["lr"] * self.gamma if t else group["lr"]


class LinearLR(LRScheduler):
    """lr = initial lr * a factor that goes in a line from start_factor to end_factor.

    It arrives after total_iters steps and then stays: a warm-up.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
    ) -> None:
        if not 0 < start_factor <= 1 or not 0 <= end_factor <= 1:
            raise ValueError(
                "LinearLR needs a start_factor above 0 and both factors at most 1, got "
                f"{start_factor} and {end_factor}"
            )
        if total_iters < 1:
            raise ValueError(f"LinearLR needs total_iters of at least 1, got {total_iters}")
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer)

    def _factor(self, t: int) -> float:
        done = min(t, self.total_iters) / self.total_iters
        return self.start_factor + (self.end_factor - self.start_factor) * done

    def rate(self, group: Group, place: int, t: int) -> float:
        if t == 0:
            return group["lr"] * self.start_factor
        if t > self.total_iters:
            return group["lr"]
        return group["lr"] * self._factor(t) / self._factor(t - 1)


class CosineAnnealingLR(LRScheduler):
    """lr = eta_min + (initial lr - eta_min) (1 + cos(pi t / T_max)) / 2.

    Loshchilov and Hutter 2017. After T_max it rises again, as in PyTorch;
    `WarmupCosineLR` stays at the bottom.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        if T_max < 1:
            raise ValueError(f"CosineAnnealingLR needs a T_max of at least 1, got {T_max}")
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer)

    def _height(self, t: int) -> float:
        return (1 + math.cos(math.pi * t / self.T_max)) / 2

    def rate(self, group: Group, place: int, t: int) -> float:
        if t == 0:
            return group["lr"]
        if (t - 1) % (2 * self.T_max) == self.T_max:  # from the bottom no ratio leads up again
            return self.eta_min + (self.base_lrs[place] - self.eta_min) * self._height(t)
        return self.eta_min + (group["lr"] - self.eta_min) * self._height(t) / self._height(t - 1)


class WarmupCosineLR(LRScheduler):
    """A line from 0 up to the initial lr over warmup_steps, then half a cosine down to min_factor
    times it at total_steps, where it stays. The usual schedule of a transformer; t counts batches.

    The first rate is lr / (warmup_steps + 1), not 0, so that no step is wasted.
    """

    def __init__(
        self, optimizer: Optimizer, warmup_steps: int, total_steps: int, min_factor: float = 0.0
    ) -> None:
        if not 0 <= warmup_steps < total_steps:
            raise ValueError(
                f"WarmupCosineLR needs 0 <= warmup_steps < total_steps, got {warmup_steps} and "
                f"{total_steps}"
            )
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps
        self.min_factor = min_factor
        super().__init__(optimizer)

    def rate(self, group: Group, place: int, t: int) -> float:
        if t < self.warmup_steps:
            return self.base_lrs[place] * (t + 1) / (self.warmup_steps + 1)
        done = min((t - self.warmup_steps) / (self.total_steps - self.warmup_steps), 1.0)
        height = (1 + math.cos(math.pi * done)) / 2
        return self.base_lrs[place] * (self.min_factor + (1 - self.min_factor) * height)


class SequentialLR(LRScheduler):
    """One scheduler after another: schedulers[i + 1] starts from its beginning at milestones[i]."""

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
    ) -> None:
        if len(schedulers) != len(milestones) + 1:
            raise ValueError(
                f"SequentialLR needs one milestone fewer than schedulers, got {len(milestones)} "
                f"and {len(schedulers)}"
            )
        if any(s.optimizer is not optimizer for s in schedulers):
            raise ValueError("SequentialLR needs schedulers of the optimizer it is given")
        self.optimizer = optimizer
        self.milestones = list(milestones)
        self._schedulers = list(schedulers)
        self.last_epoch = 0
        self._schedulers[0].restart()
        self._last_lr = self._schedulers[0].get_last_lr()

    def step(self) -> None:
        self.last_epoch += 1
        place = bisect_right(self.milestones, self.last_epoch)
        scheduler = self._schedulers[place]
        if place and self.milestones[place - 1] == self.last_epoch:
            scheduler.restart()
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()

    def restart(self) -> None:
        self.last_epoch = 0
        self._schedulers[0].restart()
        self._last_lr = self._schedulers[0].get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        state = dict(state_dict)
        for scheduler, saved in zip(self._schedulers, state.pop("schedulers"), strict=True):
            scheduler.load_state_dict(saved)
        super().load_state_dict(state)
