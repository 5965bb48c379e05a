"""A subject from a model object with one batch: no case, no registry."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from gradcheck.frameworks.protocol import Framework, Leaf, Output
from gradcheck.frameworks.walk import walk_leaves
from gradcheck.probe.batches import Batch
from gradcheck.probe.modelcall import default_step
from gradcheck.probe.subject import Loss, OptimizerSpec, Step, Subject, SubjectError


class ModelSubject(Subject):
    """Probes a copy of the model; the caller's own is not touched.

    batch: the inputs and then the target, as `step` takes them, or a mapping of them by name.
    loss: called with the output and the target. step: step(model, batch, loss) -> the result that
    is differentiated. train: train(model, batch, loss, optimizer) -> the loss, a whole training
    step in place of the usual one. optimizer: makes one from the parameters; without it the subject
    cannot be trained. training: the mode to put the model in; None leaves it in its own.
    """

    def __init__(
        self,
        model: Any,
        framework: Framework,
        *,
        batch: Batch,
        loss: Loss | None = None,
        step: Step = default_step,
        train: Callable[..., Output] | None = None,
        optimizer: OptimizerSpec | None = None,
        dtype: str = "float64",
        seed: int = 0,
        training: bool | None = None,
        name: str = "model",
    ) -> None:
        mode = bool(getattr(model, "training", True)) if training is None else training
        super().__init__(framework, name=name, dtype=dtype, seed=seed, training=mode)
        self._original = model
        self._arrays = batch if isinstance(batch, Mapping) else tuple(batch)
        self._loss = loss
        self._step = step
        self._given_train = train
        self._train = train or self._train
        self._optimizer_spec = optimizer
        self._mode = training
        self._use_model(_copied(model, framework))
        if training is not None:
            framework.train_mode(self.model, training)
        self.batch = self.to_leaves(self._arrays)

    def loss(self, output: Output, target: Leaf) -> Output:
        __tracebackhide__ = True  # the line that a graph shows for the loss is the step's
        if self._loss is None:
            raise self._lacks("loss")
        return self._loss(output, target)

    def _lacks(self, what: str) -> SubjectError:
        return SubjectError(f"{self.name} has no {what}; make the ModelSubject with one")

    def fresh(self, **changes: Any) -> ModelSubject:
        given = {
            "batch": self._arrays,
            "loss": self._loss,
            "step": self._step,
            "train": self._given_train,
            "optimizer": self._optimizer_spec,
            "dtype": self.dtype,
            "seed": self.seed,
            "training": self._mode,
            "name": self.name,
            **changes,
        }
        given.pop("batch_size", None)  # there is only the one batch
        return ModelSubject(self._original, self.framework, **given)


def _copied(model: Any, framework: Framework) -> Any:
    """A deep copy. PyTorch refuses to copy results that a model keeps, such as the weight that
    `weight_norm` computes before every forward: those are copied as constants."""
    try:
        return copy.deepcopy(model)
    except RuntimeError:
        leaves = framework.named_parameters(model).values()
        types = tuple({t for leaf in leaves for t in type(leaf).__mro__ if t is not object})
        kept = [t for _, t in walk_leaves(model, types) if not getattr(t, "is_leaf", True)]
        if not kept:
            raise
        constants = {id(t): framework.leaf(framework.get(t), trainable=False) for t in kept}
        return copy.deepcopy(model, constants)
