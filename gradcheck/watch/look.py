"""The first steps of a script, written down: losses, gradients, what moved, what came in."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.checks.lib.probing import norm
from gradcheck.frameworks.protocol import (
    Array,
    Framework,
    HasTape,
    OpCall,
    RecordsHandwritten,
)
from gradcheck.phrases import one_line
from gradcheck.source.line import Line
from gradcheck.watch.places import users_line
from gradcheck.watch.session import LossCall, ModelCall, Session, Watched
from gradcheck.watch.trial import TrialRun


@dataclass
class Backward:
    """One call of backward(). loss: its value, NaN for several numbers. graph: whether there was
    one to go back through. clean: by optimizer number, whether it began without gradients; filled:
    whether there were some afterwards."""

    loss: float
    at: Line | None
    graph: bool
    clean: dict[int, bool]
    calls: list[Called]
    filled: dict[int, bool] = field(default_factory=dict)


@dataclass
class Called:
    """A loss function was called: what it was given, and gave, as arrays."""

    name: str
    output: Array
    target: Array
    options: dict[str, Any]
    value: float
    at: Line | None


@dataclass
class Fed:
    """A module was called from outside any module. training: of the module itself. sensitive: a
    layer within for which that matters, '' for none. graph: whether its result has a graph."""

    model: Any
    arrays: list[Array]
    training: bool
    at: Line | None
    sensitive: str
    graph: bool


@dataclass
class Step:
    """One optimizer.step(). norms: of the gradients by name, None for none. moved: the names whose
    values changed. backwards: since this optimizer's step before."""

    watched: Watched
    at: Line | None
    rates: list[float]
    norms: dict[str, float | None]
    frozen: set[str]
    moved: set[str]
    backwards: list[Backward]
    fed: list[Fed]
    digests: dict[str, int]


@dataclass
class Diary:
    """Everything that was written down. last_call: of a model, with a graph."""

    steps: list[Step] = field(default_factory=list)
    backwards: list[Backward] = field(default_factory=list)
    fed: list[Fed] = field(default_factory=list)
    tape: list[OpCall] = field(default_factory=list)
    handwritten: list[OpCall] = field(default_factory=list)
    unheld: dict[str, dict[str, float]] = field(default_factory=dict)
    starts: dict[int, list[int]] = field(default_factory=dict)
    loaders: dict[int, Any] = field(default_factory=dict)
    last_call: tuple[Framework, ModelCall] | None = None
    seconds: float = 0.0


MOST_ENTRIES = 1 << 22
"""Entries of an input or target that are copied: more is looked at as far as its first part."""


class Look:
    """A `Mode` that writes a diary of the first steps and then calls `done`."""

    def __init__(self, session: Session, done: Any) -> None:
        self.session = session
        self.done = done
        self.diary = Diary()
        self.calls: list[Called] = []
        self.fed: list[Fed] = []
        self.since: dict[int, list[Backward]] = {}
        self.before: dict[int, dict[str, Array]] = {}
        self.recording = ExitStack()
        self.recorded: list[OpCall] | None = None
        self.stopped = False
        self.began = time.monotonic()

    # --- events ----------------------------------------------------------------------------------

    def model_called(self, framework: Framework, call: ModelCall) -> None:
        if self.stopped or not framework.named_parameters(call.model):
            return  # a loss
        model, inputs = call.model, (*call.args, *call.kwargs.values())
        arrays = [array for value in inputs if (array := _array(framework, value)) is not None]
        training = bool(getattr(model, "training", True))
        graph = any(framework.trainable(tensor) for tensor in _tensors(call.output))
        sensitive = "" if training else _sensitive(model)
        fed = Fed(model, arrays, training, users_line(), sensitive, graph)
        self.fed = [*self.fed[-15:], fed]
        if graph:
            self.diary.last_call = (framework, call)

    def loss_called(self, framework: Framework, call: LossCall) -> None:
        if self.stopped:
            return
        output, target = _array(framework, call.output), _array(framework, call.target)
        if output is None or target is None:
            return
        value = np.asarray(framework.value(call.result))
        called = Called(
            call.name, output, target, dict(call.options),
            float(value.reshape(-1)[0]) if value.size == 1 else float("nan"), call.at,
        )  # fmt: skip
        self.calls = [*self.calls[-15:], called]

    def batch_drawn(self, loader: Any, number: int) -> None:
        self.diary.loaders[id(loader)] = loader
        self.diary.starts.setdefault(id(loader), []).append(number)

    def before_backward(self, framework: Framework, output: Any) -> bool:
        if not self.diary.backwards:
            trial = self.session.snapshot()
            if trial is not None:
                run = TrialRun(self.session, trial)
                self.session.mode = run
                run.begin(framework)
                return run.before_backward(framework, output)
        self._record_calls(framework, output)
        value = np.asarray(framework.value(output))
        loss = float(value.reshape(-1)[0]) if value.size == 1 else float("nan")
        graph = framework.trainable(output)
        clean = {
            watched.number: all(not _any(watched.framework.grad(p)) for p in watched.held())
            for watched in self.session.optimizers
        }
        backward = Backward(loss, users_line(), graph, clean, self.calls)
        self.calls = []
        self.diary.backwards.append(backward)
        self.diary.fed.extend(self.fed)
        for watched in self.session.optimizers:
            watched.name()
            self.since.setdefault(watched.number, []).append(backward)
        return graph

    def after_backward(self, framework: Framework, output: Any) -> None:
        if self.diary.backwards:
            self.diary.backwards[-1].filled = {
                watched.number: any(_any(watched.framework.grad(p)) for p in watched.held())
                for watched in self.session.optimizers
            }

    def before_step(self, watched: Watched) -> None:
        watched.name()
        self.before[watched.number] = {
            n: watched.framework.get(leaf) for n, leaf in watched.named.leaves.items()
        }

    def after_step(self, watched: Watched) -> None:
        framework, leaves = watched.framework, watched.named.leaves
        before = self.before.pop(watched.number, {})
        grads = {n: framework.grad(leaf) for n, leaf in leaves.items()}
        step = Step(
            watched=watched,
            at=users_line(),
            rates=watched.rates(),
            norms={n: None if g is None else norm(g) for n, g in grads.items()},
            frozen={n for n, leaf in leaves.items() if not framework.trainable(leaf)},
            moved={
                n
                for n, old in before.items()
                if not np.array_equal(old, framework.get(leaves[n]), equal_nan=True)
            },
            backwards=self.since.pop(watched.number, []),
            fed=self.fed,
            digests={n: hash(g.tobytes()) for n, g in grads.items() if g is not None},
        )
        self.diary.steps.append(step)
        self.fed = []
        self._note_unheld(watched)
        if len(self.diary.steps) >= self.session.spec.steps * len(self.session.optimizers):
            self.finish("steps", None)

    def ended(self, how: str, where: str | None) -> None:
        self.finish(how, where)

    def finish(self, how: str, where: str | None) -> None:
        self.stopped = True
        self.recording.close()
        self.diary.seconds = time.monotonic() - self.began
        self.done(self.session, self.diary, how, where)

    # --- what else is noted ----------------------------------------------------------------------

    def _record_calls(self, framework: Framework, output: Any) -> None:
        """The op calls of the first forward; of handwritten functions, those of the second."""
        if self.recorded is not None:
            self.recording.close()
            self.diary.handwritten = list(self.recorded)
            self.recorded = None
        if self.diary.backwards or not framework.trainable(output):
            return
        try:
            if isinstance(framework, HasTape):
                self.diary.tape = list(framework.tape(output, {}))
            elif isinstance(framework, RecordsHandwritten):
                context = framework.record_handwritten(output)
                self.recorded = self.recording.enter_context(context)
        except Exception as error:  # an odd graph: the rest is looked at all the same
            self.diary.unheld.setdefault("trouble", {})[one_line(error)] = 0.0

    def _note_unheld(self, watched: Watched) -> None:
        """Trainable parameters of the models in reach that got a gradient and are in no
        optimizer."""
        framework = watched.framework
        held = {id(p) for other in self.session.optimizers for p in other.held()}
        for name, model in watched.named.models.items():
            found = {}
            for parameter, leaf in framework.named_parameters(model).items():
                if id(leaf) not in held and framework.trainable(leaf):
                    grad = framework.grad(leaf)
                    if _any(grad):
                        assert grad is not None
                        found[parameter] = norm(grad)
            if found:
                self.diary.unheld[name] = found


def _tensors(output: Any) -> list[Any]:
    """The tensors among what a model returned, at the top level."""
    if isinstance(output, dict):
        output = list(output.values())
    elif not isinstance(output, (list, tuple)) and not hasattr(output, "shape"):
        output = list(getattr(output, "__dict__", {}).values())
    values = output if isinstance(output, (list, tuple)) else [output]
    return [v for v in values if hasattr(v, "requires_grad")]


def _sensitive(model: Any) -> str:
    """The class of a layer that does something else in train mode; '' where there is none."""
    for module in model.modules() if hasattr(model, "modules") else ():
        name = type(module).__name__
        if "BatchNorm" in name or ("Dropout" in name and getattr(module, "p", 1) > 0):
            return name
    return ""


def _any(grad: Array | None) -> bool:
    return grad is not None and bool(np.any(grad))


def _array(framework: Framework, value: Any) -> Array | None:
    """The values of a tensor or an array; None of anything else."""
    if isinstance(value, (bool, int, float, str)) or value is None:
        return None
    if not hasattr(value, "shape") or not hasattr(value, "dtype"):
        return None
    array = np.asarray(framework.value(value))
    return array if array.size <= MOST_ENTRIES else array.reshape(-1)[:MOST_ENTRIES]
