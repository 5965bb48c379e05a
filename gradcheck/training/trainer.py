"""The training loop: batches, updates with clipping and schedule, evaluation. It prints and
writes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, ClipsGradients, HasValidation
from gradcheck.memory import keep_freed_memory
from gradcheck.probe.batches import Loader, fields
from gradcheck.probe.subject import Subject, SubjectError
from gradcheck.training.history import History
from gradcheck.training.schedule import Rates
from gradcheck.yamlcases.case import TrainSpec

EVALUATION_SEED = 20_000_003
"""Seed of the order of held-out batches: every evaluation sees the same ones."""


class Diverged(Exception):
    """The loss is no longer finite."""


class Clipped:
    """The optimizer, with the gradients clipped before each step."""

    def __init__(self, subject: Subject, max_norm: float) -> None:
        if not isinstance(subject.framework, ClipsGradients):
            raise SubjectError(
                f"framework {subject.framework.name} cannot clip gradients: its adapter has no "
                "clip_gradients(leaves, max_norm); remove `clip:` from `train:`"
            )
        self._framework = subject.framework
        self._inner = subject.optimizer
        self._leaves = list(subject.parameters.values())
        self._max_norm = max_norm

    def step(self, *args: Any) -> Any:
        self._framework.clip_gradients(self._leaves, self._max_norm)
        return self._inner.step(*args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Trainer:
    """Trains the model of `subject` as `spec` says. `step` counts the updates that were made.

    After an interruption: restore the parameters, the optimizer (`self.optimizer`) and `history`,
    then `skip_to(step)`; the numbers that follow are those of an uninterrupted run.
    """

    def __init__(self, subject: Subject, spec: TrainSpec) -> None:
        self.subject = subject
        self.spec = spec
        self.step = 0
        self.history = History()
        self.optimizer = subject.optimizer
        self._rates = Rates(self.optimizer, spec.schedule)
        if spec.clip is not None:
            subject.optimizer = Clipped(subject, spec.clip)
        self._batches: Iterator[Any] | None = None
        self._held_out = held_out(subject)
        known = fields(subject.to_arrays(subject.batch))
        shape = np.shape(known[-1]) if known else ()
        self.unit = "tokens" if len(shape) == 2 else "samples"
        self.units_per_step = int(np.prod(shape[: 2 if len(shape) == 2 else 1])) if shape else 1

    def skip_to(self, step: int) -> None:
        """Continue after `step` updates, skipping their batches."""
        self.step = step
        batches = self._start()
        for _ in range(step):
            next(batches)

    def _start(self) -> Iterator[Any]:
        """Yield all batches from the first one on."""
        self._batches = self.subject.new_loader().take(2**62)
        return self._batches

    def run(
        self,
        *,
        after_step: Callable[[Trainer], bool] = lambda _: False,
        after_evaluation: Callable[[Trainer], None] = lambda _: None,
    ) -> bool:
        """Train up to `spec.steps`. True when done, False when `after_step` asked to stop.

        Raises Diverged when the loss stops being finite.
        """
        keep_freed_memory()
        batches = self._batches or self._start()
        if self.step == 0 and not self.history.evaluations:
            self.evaluate()
            after_evaluation(self)
        while self.step < self.spec.steps:
            self._rates.set(self.step, self.spec.steps)
            batch = self.subject.to_leaves(next(batches))
            # one seed a step: dropout differs from step to step, and a resumed run repeats it
            loss = self.subject.train_step(batch, seed=step_seed(self.subject.seed, self.step))
            self.step += 1
            self.history.losses.append(loss)
            if not math.isfinite(loss):
                raise Diverged(
                    f"the loss is {loss} at step {self.step}; lower the learning rate or clip the "
                    "gradients (`train: {clip: 1.0}`)"
                )
            stop = after_step(self)
            if self.step % self.spec.eval_every == 0 or self.step == self.spec.steps:
                self.evaluate()
                after_evaluation(self)
            if stop and self.step < self.spec.steps:
                return False
        return True

    def evaluate(self, batches: int | None = None) -> float | None:
        """Return the mean loss of held-out batches in eval mode and record it; None without any."""
        loss = None
        if self._held_out is not None:
            loss = self.held_out_loss(self.spec.eval_batches if batches is None else batches)
        self.history.evaluations.append((self.step, loss))
        return loss

    def held_out_loss(self, batches: int) -> float:
        """Of at most `batches` held-out batches, the same ones every time."""
        assert self._held_out is not None
        subject, framework = self.subject, self.subject.framework
        size = min(subject.loader().batch_size, len(self._held_out))
        loader = Loader(self._held_out, size, shuffle=True, seed=EVALUATION_SEED)
        count = min(batches, len(self._held_out) // size)
        framework.train_mode(subject.model, False)
        try:
            losses = [
                float(subject.value(subject.forward(subject.to_leaves(batch))).reshape(()))
                for batch in loader.take(count)
            ]
        finally:
            framework.train_mode(subject.model, subject.training)
        return float(np.mean(losses))

    @property
    def has_held_out(self) -> bool:
        return self._held_out is not None

    def state(self) -> dict[str, Array]:
        """Parameters and buffers by name."""
        return self.subject.state()

    def restore(self, state: dict[str, Array]) -> None:
        """The inverse of `state`. Raises KeyError, naming what is missing."""
        framework = self.subject.framework
        leaves = {**self.subject.leaves, **self.subject.buffers}
        missing = sorted(leaves.keys() - state.keys())
        if missing:
            raise KeyError(", ".join(missing))
        for name, leaf in leaves.items():
            if np.shape(framework.get(leaf)) != state[name].shape:
                raise KeyError(f"{name} of shape {np.shape(framework.get(leaf))}")
        self.subject.restore(state)


def step_seed(seed: int, step: int) -> int:
    """A seed for everything random in one step."""
    return (seed * 1_000_003 + step + 1) % 2**32


def held_out(subject: Subject) -> Any:
    """The dataset's own validation part, or None."""
    dataset = subject.dataset
    return dataset.validation() if isinstance(dataset, HasValidation) else None
