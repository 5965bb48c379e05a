"""One op or model, one batch, one loss, ready to be probed: all that a check sees."""

from __future__ import annotations

import copy
import inspect
import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import (
    Array,
    Framework,
    HasBuffers,
    HasHandwritten,
    HasTape,
    Leaf,
    OpCall,
    Output,
)
from gradcheck.names.registry import Registry
from gradcheck.probe.batches import Batch, Loader
from gradcheck.yamlcases.case import Case
from gradcheck.yamlcases.inputs import draw_inputs


class SubjectError(Exception):
    """The case cannot be turned into something to probe; the message says what to change."""


class Subject:
    """Built from a case, freshly for every check: no check sees what another one did.

    parameters: what ought to train, by dotted name. inputs: the other floating leaves (of an op).
    dtype: of all floating leaves. seed: of initial values, data order and dropout.
    training: whether the model is in train mode.
    """

    def __init__(
        self,
        case: Case,
        registry: Registry,
        *,
        dtype: str | None = None,
        seed: int | None = None,
        batch_size: int | None = None,
        arrays: Mapping[str, Array] | None = None,
    ) -> None:
        self.case = case
        self.registry = registry
        self.framework: Framework = registry.framework(case.framework)
        self.seed = case.seed if seed is None else seed
        self.dtype = dtype or case.dtype
        self.batch_size = batch_size
        self.training = case.training
        self.model: Any = None
        self.inputs: dict[str, Leaf] = {}
        self.parameters: dict[str, Leaf] = {}
        self.batch: tuple[Leaf, ...] = ()
        self._arrays = arrays
        self._optimizer: Any = None
        self._loader: Loader | None = None
        self._global_seeds()
        self.framework.manual_seed(self.seed)
        if case.op is not None:
            self._build_op()
        else:
            self._build_model()

    def _global_seeds(self) -> None:
        """User code often draws from numpy's or Python's global generator; the seed reaches both,
        so that a fresh subject starts from the same values."""
        np.random.seed(self.seed % 2**32)
        random.seed(self.seed)

    # --- building ---------------------------------------------------------------------------

    def _build_op(self) -> None:
        self._op = self._lookup("op", self.case.op).value
        arrays = self._arrays
        if arrays is None:
            arrays = draw_inputs(self.case.inputs, np.random.default_rng(self.seed))
        specs = self.case.inputs
        self.operands = {}
        for name, array in arrays.items():
            floating = array.dtype.kind == "f"
            trainable = floating and (name not in specs or specs[name].trainable)
            leaf = self.framework.leaf(
                array, trainable=trainable, dtype=self.dtype if floating else None
            )
            self.operands[name] = leaf
            if trainable:
                self.inputs[name] = leaf

    def _build_model(self) -> None:
        case = self.case
        factory = self._lookup("model", case.model).value
        self.model = factory(**copy.deepcopy(case.args))
        self.framework.cast(self.model, self.dtype)
        self.framework.train_mode(self.model, self.training)
        self.parameters = self.framework.named_parameters(self.model)
        self._loss = self._lookup("loss", case.loss.name).value if case.loss else None
        self._loss_args = case.loss.args if case.loss else {}
        entry = self._lookup("step", case.step) if case.step else None
        self._step = entry.value if entry else default_step
        self._train = (entry.extra.get("train") if entry else None) or self._default_train
        if case.data is not None:
            self.batch = self.to_leaves(next(iter(self.loader())))

    def _lookup(self, kind: str, name: str | None) -> Any:
        assert name is not None
        return self.registry.get(kind, name, self.case.framework)

    def fresh(self, **changes: Any) -> Subject:
        """Another subject from the same case; dtype, seed, batch_size or arrays may differ."""
        kept = {
            "dtype": self.dtype,
            "seed": self.seed,
            "batch_size": self.batch_size,
            "arrays": self._arrays,
        }
        return Subject(self.case, self.registry, **{**kept, **changes})

    # --- data -------------------------------------------------------------------------------

    @property
    def dataset(self) -> Any:
        """The dataset of the case, made on first use. Raises SubjectError without `data`."""
        return self.loader().dataset

    def loader(self) -> Loader:
        """Batches of the case's dataset, in an order that follows from the seed."""
        if self._loader is None:
            data = self.case.data
            if data is None:
                raise SubjectError(
                    f"case {self.case.name} has no data; add `data: {{name: ..., batch: ...}}`"
                )
            dataset = self.registry.get("dataset", data.name).value(**data.args)
            self._loader = self._new_loader(dataset)
        return self._loader

    def new_loader(self) -> Loader:
        """A loader of its own on the same dataset, from the first epoch on."""
        return self._new_loader(self.dataset)

    def _new_loader(self, dataset: Any) -> Loader:
        data = self.case.data
        assert data is not None
        return Loader(dataset, self.batch_size or data.batch, shuffle=data.shuffle, seed=self.seed)

    def batches(self, count: int) -> Iterator[tuple[Leaf, ...]]:
        """`count` batches, going around the data as often as needed."""
        for batch in self.loader().take(count):
            yield self.to_leaves(batch)

    def to_leaves(self, batch: Batch) -> tuple[Leaf, ...]:
        """Arrays as tensors of this framework: floats in this subject's dtype, ints as they are."""
        return tuple(
            self.framework.leaf(
                a, trainable=False, dtype=self.dtype if a.dtype.kind == "f" else None
            )
            for a in batch
        )

    # --- running ----------------------------------------------------------------------------

    @property
    def leaves(self) -> dict[str, Leaf]:
        """Everything whose gradient is checked, by name."""
        return {**self.inputs, **self.parameters}

    @property
    def buffers(self) -> dict[str, Leaf]:
        if self.model is None or not isinstance(self.framework, HasBuffers):
            return {}
        return self.framework.named_buffers(self.model)

    def loss(self, output: Output, target: Leaf) -> Output:
        """The case's loss with its arguments."""
        __tracebackhide__ = True  # the line that a graph shows for the loss is the step's
        if self._loss is None:
            raise SubjectError(
                f"case {self.case.name} has no loss; add `loss: cross_entropy` or another one"
            )
        return self._loss(output, target, **self._loss_args)

    def forward(self, batch: tuple[Leaf, ...] | None = None) -> Output:
        """The op's result, or the model's scalar loss. The same seed every time: same dropout."""
        batch = self.batch if batch is None else batch
        self._global_seeds()
        return self.framework.forward(lambda: self._forward(batch), seed=self.seed)

    def _forward(self, batch: tuple[Leaf, ...]) -> Output:
        if self.case.op is not None:
            return self._call(self.operands)
        return self._step(self.model, batch, self.loss)

    def apply(self, operands: Mapping[str, Leaf]) -> Output:
        """The op of the case on other operands."""
        self._global_seeds()
        return self.framework.forward(lambda: self._call(operands), seed=self.seed)

    def _call(self, operands: Mapping[str, Leaf]) -> Output:
        return self.framework.call(self._op, operands, self.case.args)

    def predict(self, *inputs: Leaf) -> Output:
        """The model's output on `inputs` (default: those of the batch)."""
        inputs = inputs or self.batch[:-1]
        self._global_seeds()
        return self.framework.forward(lambda: self.model(*inputs), seed=self.seed)

    def value(self, output: Output) -> Array:
        return self.framework.value(output)

    def backward(self, output: Output, cotangent: Array | None = None) -> None:
        self.framework.backward(output, cotangent)

    def gradients(self, cotangent: Array | None = None) -> dict[str, Array | None]:
        """One forward and backward from zeroed gradients; the gradient of every leaf."""
        self.zero_grad()
        self.backward(self.forward(), cotangent)
        return self.grads()

    def grads(self) -> dict[str, Array | None]:
        return {name: self.framework.grad(leaf) for name, leaf in self.leaves.items()}

    def zero_grad(self) -> None:
        self.framework.zero_grad(list(self.leaves.values()))

    def tape(self, output: Output) -> list[OpCall] | None:
        """The op calls behind `output`, or None where the framework cannot tell."""
        if not isinstance(self.framework, HasTape):
            return None
        return self.framework.tape(output, self.leaves)

    def handwritten(self) -> list[OpCall]:
        """Calls of functions whose backward a user wrote, where the framework knows only those."""
        if not isinstance(self.framework, HasHandwritten):
            return []
        before = self.state()
        try:
            return self.framework.handwritten(self.forward)
        finally:
            self.restore(before)  # running statistics

    def get(self, name: str) -> Array:
        return self.framework.get(self.leaves[name])

    def set(self, name: str, array: Array) -> None:
        self.framework.set(self.leaves[name], array)

    def state(self) -> dict[str, Array]:
        """A copy of all leaves and buffers, for `restore`."""
        return {n: self.framework.get(t) for n, t in {**self.leaves, **self.buffers}.items()}

    def restore(self, state: Mapping[str, Array]) -> None:
        for name, leaf in {**self.leaves, **self.buffers}.items():
            if name in state:
                self.framework.set(leaf, state[name])

    # --- training ---------------------------------------------------------------------------

    @property
    def optimizer(self) -> Any:
        """The case's optimizer on the parameters that the model hands out. Made on first use."""
        if self._optimizer is None:
            self._optimizer = self.make_optimizer()
        return self._optimizer

    @optimizer.setter
    def optimizer(self, value: Any) -> None:
        self._optimizer = value

    def make_optimizer(self, **changes: Any) -> Any:
        """The case's optimizer, with some arguments (`lr=`) changed."""
        spec = self.case.optimizer
        if spec is None:
            raise SubjectError(
                f"case {self.case.name} has no optimizer; add `optimizer: {{name: adam, lr: 0.01}}`"
            )
        factory = self._lookup("optimizer", spec.name).value
        first = next(iter(inspect.signature(factory).parameters), "")
        held = self.model if first == "model" else self.framework.optimized(self.model)
        return factory(held, **{**spec.args, **changes})

    def train_step(
        self, batch: tuple[Leaf, ...] | None = None, *, seed: int | None = None
    ) -> float:
        """One update, as the case's step does it; the loss before the update.

        seed: of dropout; the subject's own if None, so that repeated steps drop the same.
        """
        batch = self.batch if batch is None else batch
        optimizer = self.optimizer
        self._global_seeds()
        loss = self.framework.forward(
            lambda: self._train(self.model, batch, self.loss, optimizer),
            seed=self.seed if seed is None else seed,
        )
        return float(self.value(loss).reshape(()))

    def _default_train(self, model: Any, batch: tuple[Leaf, ...], loss: Any, optimizer: Any) -> Any:
        optimizer.zero_grad()
        output = self._step(model, batch, loss)
        self.framework.backward(output, None)
        optimizer.step()
        return output


def default_step(model: Any, batch: tuple[Leaf, ...], loss: Any) -> Output:
    """loss(model(inputs), target)."""
    return loss(model(*batch[:-1]), batch[-1])
