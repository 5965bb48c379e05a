"""A subject from a case: the registry has its op or model, loss, step, optimizer and dataset."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array, Leaf, Output
from gradcheck.names.registry import Entry, Registry
from gradcheck.probe.domain import Bounds
from gradcheck.probe.subject import Batching, Declared, OptimizerSpec, Subject, SubjectError
from gradcheck.yamlcases.case import Case, InputSpec
from gradcheck.yamlcases.inputs import draw_inputs

HOW_TO_ADD = {
    "data": "`data: {name: ..., batch: ...}`",
    "loss": "`loss: cross_entropy` or another one, or `step: own_loss` where the model returns it",
    "optimizer": "`optimizer: {name: adam, lr: 0.01}`",
}


class CaseSubject(Subject):
    """arrays, args: of an op, instead of those that the case gives."""

    def __init__(
        self,
        case: Case,
        registry: Registry,
        *,
        dtype: str | None = None,
        seed: int | None = None,
        batch_size: int | None = None,
        arrays: Mapping[str, Array] | None = None,
        args: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            registry.framework(case.framework),
            name=case.subject_name,
            dtype=dtype or case.dtype,
            seed=case.seed if seed is None else seed,
            training=case.training,
            batch_size=batch_size,
        )
        self.batched = case.batched
        self._case = case
        self._registry = registry
        self._arrays = arrays
        self._args = args
        if case.op is not None:
            self._build_op()
        else:
            self._build_model()

    def _build_op(self) -> None:
        case = self._case
        entry = self._lookup("op", case.op)
        self._op = entry.value
        self.args = case.args if self._args is None else self._args
        self.declared = Declared(case.name, entry.where, case.inputs, _defaults(self._op))
        arrays = self._arrays
        if arrays is None:
            arrays = draw_inputs(case.inputs, np.random.default_rng(self.seed))
        self._use_operands(arrays, lambda n: n not in case.inputs or case.inputs[n].trainable)
        specs = {n: s for n, s in case.inputs.items() if n in self.inputs}
        self.bounds = {n: b for n, s in specs.items() if (b := _bounds(s)) is not None}

    def _build_model(self) -> None:
        case = self._case
        factory = self._lookup("model", case.model).value
        self._use_model(factory(**copy.deepcopy(case.args)))
        self.framework.train_mode(self.model, self.training)
        if case.loss is not None:
            self._loss = self._lookup("loss", case.loss.name).value
            self.loss_args = case.loss.args
        if case.step is not None:
            entry = self._lookup("step", case.step)
            self._step = entry.value
            self._train = entry.extra.get("train") or self._train
        if case.data is not None:
            self._batching = Batching(case.data.batch, case.data.shuffle)
            self.batch = self.to_leaves(next(iter(self.loader())))

    def _lookup(self, kind: str, name: str | None) -> Entry:
        assert name is not None
        entry: Entry = self._registry.get(kind, name, self._case.framework)
        return entry

    def _make_dataset(self) -> Any:
        data = self._case.data
        if data is None:
            raise self._lacks("data")
        return self._registry.get("dataset", data.name).value(**data.args)

    @property
    def has_optimizer(self) -> bool:
        return self._case.optimizer is not None

    @property
    def optimizer_spec(self) -> OptimizerSpec:
        """Looked up when it is asked for: a check that takes no step needs no optimizer."""
        named = self._case.optimizer
        if named is None:
            raise self._lacks("optimizer")
        return OptimizerSpec(named.name, self._lookup("optimizer", named.name).value, named.args)

    def loss(self, output: Output, target: Leaf) -> Output:
        """The case's loss with its arguments. Raises SubjectError without one."""
        __tracebackhide__ = True  # the line that a graph shows for the loss is the step's
        if self._case.loss is None:
            raise self._lacks("loss")
        return self._loss(output, target, **self.loss_args)

    def _call(self, operands: Mapping[str, Leaf]) -> Output:
        return self.framework.call(self._op, operands, self.args)

    def _lacks(self, what: str) -> SubjectError:
        return SubjectError(f"case {self._case.name} has no {what}; add {HOW_TO_ADD[what]}")

    def formula(self, name: str) -> Callable[..., Output]:
        op: Callable[..., Output] = self._lookup("op", name).value
        return op

    def fresh(self, **changes: Any) -> CaseSubject:
        kept = {
            "dtype": self.dtype,
            "seed": self.seed,
            "batch_size": self.batch_size,
            "arrays": self._arrays,
            "args": self._args,
        }
        return CaseSubject(self._case, self._registry, **{**kept, **changes})

    def counterpart(
        self, *, name: str | None, framework: str | None, args: Mapping[str, Any] | None
    ) -> CaseSubject:
        """Another registered op, or model on the same batch; None keeps what the case has."""
        case = self._case
        changes = {
            "op" if self.is_op else "model": name or case.subject_name,
            "framework": framework or case.framework,
            "args": case.args if args is None else args,
            # a training step is written in the case's framework, the default one in any
            "step": case.step if framework in (None, case.framework) else None,
        }
        other = case.model_copy(update=changes)
        return CaseSubject(
            other, self._registry, dtype=self.dtype, seed=self.seed, arrays=self._arrays
        )


def _defaults(op: Callable[..., Any]) -> dict[str, Any]:
    """The defaults of an op's parameters; none where it has no signature."""
    try:
        parameters = inspect.signature(op).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _bounds(spec: InputSpec) -> Bounds | None:
    """The domain that an input is declared in."""
    if spec.dtype != "float" or (spec.low is None and spec.high is None):
        return None
    low = -np.inf if spec.low is None else spec.low
    return Bounds(low, np.inf if spec.high is None else spec.high)
