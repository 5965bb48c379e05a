"""One op or model, one batch, one loss, ready to be probed: all that a check sees."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gradcheck.frameworks.nested import parts, replaced
from gradcheck.frameworks.protocol import (
    Array,
    Framework,
    HasBuffers,
    HasHandwritten,
    HasTape,
    HoldsStops,
    Leaf,
    OpCall,
    Output,
    ReplacesResults,
)
from gradcheck.phrases import one_line
from gradcheck.probe.batches import Batch, Loader, is_array
from gradcheck.probe.domain import Bounds
from gradcheck.probe.modelcall import ModelCall, default_step, noting_calls
from gradcheck.probe.stops import Stops
from gradcheck.probe.surrogates import Surrogates

if TYPE_CHECKING:
    from gradcheck.yamlcases.case import InputSpec

Loss: TypeAlias = Callable[[Output, Leaf], Output]
Step: TypeAlias = Callable[[Any, Any, Loss], Output]
"""step(model, batch, loss) -> the scalar loss. The batch is a tuple of tensors, the target last, or
a mapping of them by name, as the dataset gives it."""


class SubjectError(Exception):
    """There is nothing to probe, or the subject lacks what a check needs; the message says what to
    change."""


class NotJudged(Exception):
    """A check cannot ask its question of this subject; the message is the reason. No finding."""


@dataclass(frozen=True)
class Batching:
    """How a subject takes batches from its dataset."""

    size: int
    shuffle: bool


@dataclass(frozen=True)
class OptimizerSpec:
    """An optimizer that can be made again and again.

    factory: called with the parameters, or with the model if its first parameter is `model`.
    """

    name: str
    factory: Callable[..., Any]
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Declared:
    """What was written down about an op and its inputs, so that other inputs can be derived.

    title: names this declaration among others of the same op. home: 'file:line' of the op's
    registration. inputs: the specs of its inputs by name. defaults: of its parameters that have
    one.
    """

    title: str
    home: str | None
    inputs: Mapping[str, InputSpec]
    defaults: Mapping[str, Any] = field(default_factory=dict)


class Subject:
    """Made freshly for every check: no check sees what another one did.

    name: what messages call it. parameters: what should train, by dotted name. inputs: the other
    floating leaves (of an op). dtype: of all floating leaves. seed: of initial values, data order
    and dropout. training: whether the model is in train mode. stops, surrogates:
    what forwards hold. batched: whether several copies of an input may be run at once.

    An op has `operands`, its arguments `args`, perhaps `declared`, and `bounds`: by input the
    domain that no step and no probe leaves. A model has `model` and
    `batch`, and may have a loss, data and an optimizer; what needs one that is missing raises
    SubjectError. The modules `from_case`, `from_function` and `from_model` make subjects.
    """

    batched: bool = True
    args: Mapping[str, Any] = {}
    declared: Declared | None = None
    loss_args: Mapping[str, Any] = {}
    bounds: Mapping[str, Bounds] = {}
    _batching: Batching | None = None
    _optimizer_spec: OptimizerSpec | None = None

    def __init__(
        self,
        framework: Framework,
        *,
        name: str,
        dtype: str,
        seed: int = 0,
        training: bool = True,
        batch_size: int | None = None,
    ) -> None:
        self.framework = framework
        self.name = name
        self.dtype = dtype
        self.seed = seed
        self.training = training
        self.batch_size = batch_size
        self.model: Any = None
        self.operands: dict[str, Leaf] = {}
        self.inputs: dict[str, Leaf] = {}
        self.parameters: dict[str, Leaf] = {}
        self.batch: Any = ()
        self.stops: Stops | None = None
        self._call_of_step: tuple[Any, ModelCall] | None = None
        self._tensor_types: tuple[type, ...] = ()
        self.surrogates: Surrogates | None = None
        self._step: Step = default_step
        self._train: Callable[..., Output] = self._default_train
        self._optimizer: Any = None
        self._loader: Loader | None = None
        self._global_seeds()
        framework.manual_seed(seed)

    def _global_seeds(self) -> None:
        """User code often draws from numpy's or Python's global generator; the seed reaches both,
        so that a fresh subject starts from the same values."""
        np.random.seed(self.seed % 2**32)
        random.seed(self.seed)

    # --- building ---------------------------------------------------------------------------

    def _use_operands(
        self, arrays: Mapping[str, Array], differentiated: Callable[[str], bool] = lambda _: True
    ) -> None:
        """Make a leaf of each array. Floating ones that are `differentiated` become inputs."""
        for name, array in arrays.items():
            floating = array.dtype.kind == "f"
            trainable = floating and differentiated(name)
            leaf = self.framework.leaf(
                array, trainable=trainable, dtype=self.dtype if floating else None
            )
            self.operands[name] = leaf
            if trainable:
                self.inputs[name] = leaf

    def _use_model(self, model: Any) -> None:
        self.model = model
        self.framework.cast(model, self.dtype)
        self.parameters = self.framework.named_parameters(model)

    def fresh(self, **changes: Any) -> Subject:
        """The same subject made once more; dtype, seed, batch_size or arrays may differ."""
        raise NotImplementedError

    def counterpart(
        self, *, name: str | None, framework: str | None, args: Mapping[str, Any] | None
    ) -> Subject:
        """Another implementation of this op, or of this model on the same batch; None keeps what
        this one has."""
        raise SubjectError(f"{self.name} cannot be built from another name or framework")

    def _lacks(self, what: str) -> SubjectError:
        """The error for a missing 'data', 'loss' or 'optimizer'."""
        return SubjectError(f"{self.name} has no {what}")

    # --- what it is -------------------------------------------------------------------------

    @property
    def is_op(self) -> bool:
        """Whether it is an op: a function of arrays with a result of any shape, not a model."""
        return self.model is None

    @property
    def eps(self) -> float:
        """One rounding of the widest dtype in which the framework computes."""
        return float(np.finfo(self.framework.precision.data).eps)

    @property
    def has_data(self) -> bool:
        return self._batching is not None

    @property
    def has_optimizer(self) -> bool:
        return self._optimizer_spec is not None

    @property
    def batching(self) -> Batching:
        """How batches are taken. Raises SubjectError without data."""
        if self._batching is None:
            raise self._lacks("data")
        return self._batching

    @property
    def optimizer_spec(self) -> OptimizerSpec:
        """How the optimizer is made. Raises SubjectError without one."""
        if self._optimizer_spec is None:
            raise self._lacks("optimizer")
        return self._optimizer_spec

    # --- data -------------------------------------------------------------------------------

    @property
    def dataset(self) -> Any:
        """The dataset, made on first use. Raises SubjectError without data."""
        return self.loader().dataset

    def loader(self) -> Loader:
        """Batches of the dataset, in an order that follows from the seed."""
        if self._loader is None:
            self._loader = self._new_loader(self._make_dataset())
        return self._loader

    def new_loader(self) -> Loader:
        """A second loader on the same dataset, from the first epoch on."""
        return self._new_loader(self.dataset)

    def _make_dataset(self) -> Any:
        raise self._lacks("data")

    def _new_loader(self, dataset: Any) -> Loader:
        how = self.batching
        return Loader(dataset, self.batch_size or how.size, shuffle=how.shuffle, seed=self.seed)

    def batches(self, count: int) -> Iterator[Any]:
        """`count` batches, going around the data as often as needed."""
        for batch in self.loader().take(count):
            yield self.to_leaves(batch)

    def to_leaves(self, batch: Batch) -> Any:
        """The same with tensors of this framework for arrays: floats in this subject's dtype, ints
        as they are. What is no array (None, texts) stays."""

        def leaf(_: str, array: Array) -> Leaf:
            dtype = self.dtype if array.dtype.kind == "f" else None
            return self.framework.leaf(array, trainable=False, dtype=dtype)

        return replaced(batch, is_array, leaf)

    def to_arrays(self, batch: Any) -> Batch:
        """The reverse of `to_leaves`."""
        return replaced(batch, self.is_tensor, lambda _, leaf: self.framework.get(leaf))

    @property
    def tensor_types(self) -> tuple[type, ...]:
        """The framework's tensors: the types that leaves and batch have, and their base classes."""
        if not self._tensor_types:
            fields = [f for _, f in parts(self.batch, lambda v: not _is_container(v))]
            known = [*self.operands.values(), *self.parameters.values(), *fields]
            types = {t for leaf in known if not _is_plain(leaf) for t in type(leaf).__mro__}
            self._tensor_types = tuple(types - {object})
        return self._tensor_types

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, self.tensor_types)

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
        """The loss with its arguments. Raises SubjectError without one."""
        raise self._lacks("loss")

    def forward(self, batch: Any = None) -> Output:
        """The op's result, or the model's scalar loss. The same seed every time: same dropout."""
        batch = self.batch if batch is None else batch
        self._global_seeds()
        with self._holding():
            return self.framework.forward(lambda: self._forward(batch), seed=self.seed)

    @contextmanager
    def _holding(self) -> Iterator[None]:
        """Around a forward: stops keep their values, and surrogates stand for their ops."""
        with ExitStack() as stack:
            if self.stops is not None and isinstance(self.framework, HoldsStops):
                self.stops.begin()
                stack.enter_context(self.framework.holding(self.stops))
            if self.surrogates is not None and isinstance(self.framework, ReplacesResults):
                self.surrogates.begin()
                stack.enter_context(self.framework.replacing(self.surrogates))
            yield

    def anchor(self) -> None:
        """The leaves are at another point: what is held is what the next forward gives."""
        for held in (self.stops, self.surrogates):
            if held is not None:
                held.anchor()

    def formula(self, name: str) -> Callable[..., Output]:
        """A registered op by name. Raises SubjectError where there is no registry."""
        raise SubjectError(
            f"{self.name} has no registry in which to find {name!r}; pass the function itself"
        )

    def _forward(self, batch: Any) -> Output:
        if self.is_op:
            return self._call(self.operands)
        return self._scalar(self._step(self.model, batch, self.loss))

    def _scalar(self, result: Any) -> Output:
        """The loss in what a step returns: a result with the tensors of a model has it under the
        name `loss`, a tuple at its start."""
        if result is None or self.is_tensor(result):
            return result
        found = {n: t for n, t in parts(result, self.is_tensor) if self.is_tensor(t)}
        if "loss" in found:
            return found["loss"]
        first = next(iter(found.values()), None)
        if isinstance(result, (tuple, list)) and first is result[0] and self.value(first).size == 1:
            return first
        return result

    def apply(self, operands: Mapping[str, Leaf]) -> Output:
        """The op on other operands."""
        self._global_seeds()
        with self._holding():
            return self.framework.forward(lambda: self._call(operands), seed=self.seed)

    def _call(self, operands: Mapping[str, Leaf]) -> Output:
        raise NotImplementedError

    def call_of_step(self, batch: Any = None) -> ModelCall:
        """How the training step calls the model, on the subject's own batch or another one.

        The default step takes no look. Another one runs once; of several calls the first counts,
        and where the step never calls the model itself, the model gets the batch's inputs.
        """
        batch = self.batch if batch is None else batch
        if self._call_of_step is not None and self._call_of_step[0] is batch:
            return self._call_of_step[1]
        usual = ModelCall.of_default_step(batch)
        call = usual
        if self._step is not default_step:
            before = self.state()
            with noting_calls(self.model) as calls:
                self.forward(batch)
            self.restore(before)
            call = next(iter(calls), replace(usual, made=False))
        self._call_of_step = (batch, call)
        return call

    def model_inputs(self, batch: Any = None) -> list[Leaf]:
        """The tensors that the training step gives to the model."""
        return self.call_of_step(batch).tensors(self.is_tensor)

    def predict(self, *inputs: Leaf) -> Output:
        """The model's output, called as the training step calls it: on `inputs` in the place of the
        tensors that it is given there (see `model_inputs`), or on those of the batch.

        Raises NotJudged where the step never calls the model, and calling it raises.
        """
        call = self.call_of_step()
        if inputs:
            call = call.on(inputs, self.is_tensor)
        self._global_seeds()
        try:
            return self.framework.forward(lambda: call.run(self.model), seed=self.seed)
        except Exception as error:
            if call.made:
                raise
            raise NotJudged(
                "the training step never calls the model itself, and calling it with the inputs of "
                f"the batch raises {type(error).__name__}: {one_line(error)}"
            ) from error

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
        """The optimizer on the parameters that the model hands out. Made on first use."""
        if self._optimizer is None:
            self._optimizer = self.make_optimizer()
        return self._optimizer

    @optimizer.setter
    def optimizer(self, value: Any) -> None:
        self._optimizer = value

    def make_optimizer(self, **changes: Any) -> Any:
        """The optimizer, with some arguments (`lr=`) changed."""
        spec = self.optimizer_spec
        first = next(iter(inspect.signature(spec.factory).parameters), "")
        held = self.model if first == "model" else self.framework.optimized(self.model)
        return spec.factory(held, **{**spec.args, **changes})

    def train_step(self, batch: Any = None, *, seed: int | None = None) -> float:
        """One update, as the training step does it; the loss before the update.

        seed: of dropout; the subject's own if None, so that repeated steps drop the same.
        """
        batch = self.batch if batch is None else batch
        optimizer = self.optimizer
        self._global_seeds()
        loss = self.framework.forward(
            lambda: self._train(self.model, batch, self.loss, optimizer),
            seed=self.seed if seed is None else seed,
        )
        loss = self._scalar(loss)
        if loss is None:
            raise SubjectError(
                f"the training step of {self.name} returns None; let it return the loss"
            )
        return float(self.value(loss).reshape(()))

    def _default_train(self, model: Any, batch: Any, loss: Any, optimizer: Any) -> Any:
        optimizer.zero_grad()
        output = self._scalar(self._step(model, batch, loss))
        self.framework.backward(output, None)
        optimizer.step()
        return output


def _is_container(value: Any) -> bool:
    return isinstance(value, (Mapping, list, tuple))


def _is_plain(value: Any) -> bool:
    """Whether a field of a batch is no tensor: texts, or nothing."""
    if isinstance(value, np.ndarray):
        return not is_array(value)
    return value is None or isinstance(value, (str, bytes, int, float))
