"""gradcheck: op cases with the check `gradient`, model cases with ten checks, all at defaults."""

from __future__ import annotations

import functools
import importlib
import types
from collections.abc import Callable, Iterator
from typing import Any

from gradcheck import Register, hookimpl
from gradcheck.engine import run_check
from gradcheck.names.load import load
from gradcheck.yamlcases.load import load_text

from . import models, ops
from .verdict import Cell, Complaint, measure

CHECKS = (
    "graph",
    "gradient",
    "init",
    "overfit",
    "updates",
    "determinism",
    "batch_independence",
    "causality",
    "alignment",
    "loader",
)
ABILITIES = ("mutation", "strides", "step")


def contestant(framework: str) -> Iterator[Cell]:
    """Every cell of gradcheck's column for 'tinytorch' or 'pytorch'."""
    registry = load(objects=[("peers", plugin(framework))])

    def complaints(subject: Any) -> list[Complaint]:
        text = case_of(subject, framework)
        loaded = load_text(text, registry)
        if loaded.errors:
            raise SystemExit("\n".join(map(str, loaded.errors)))
        (case,) = loaded.cases
        return [
            Complaint(f"{check}:{finding.code}", said(finding))
            for check in case.checks
            for finding in run_check(case, check, registry).findings
        ]

    for subject in [*ops.FAULTS, *ops.CORRECT]:
        yield measure(subject, lambda s=subject: complaints(s), ABILITIES)
    usual = {c.key: c.hard for c in complaints(models.HEALTHY)}
    for subject in [*models.FAULTS, *models.CORRECT]:
        before = None if subject.correct else usual
        yield measure(subject, lambda s=subject: complaints(s), ABILITIES, before)


def said(finding: Any) -> str:
    """What the user reads of a finding."""
    parts = (finding.message, finding.where, *finding.lines, finding.advice)
    return "\n".join(part for part in parts if part)


def case_of(subject: Any, framework: str) -> str:
    """The YAML of a subject's case."""
    if subject.kind == "op":
        inputs = ", ".join(
            f"{name}: {spec_of(a, subject.drawn)}" for name, a in subject.arrays.items()
        )
        body = f"op: peers_{subject.id}\n    inputs: {{{inputs}}}"
    else:
        frozen = f" {{frozen: [{', '.join(subject.frozen)}]}}"
        checks = "\n".join(
            f"      {name}:{frozen if subject.frozen and name in ('graph', 'updates') else ''}"
            for name in CHECKS
        )
        body = (
            f"model: peers_chars\n    args: {{fault: '{subject.fault('model')}'}}\n"
            f"    data: {{name: peers_data, batch: {models.BATCH}, "
            f"fault: '{subject.fault('data')}'}}\n"
            f"    loss: peers_loss_{subject.fault('loss')}\n"
            f"    optimizer: peers_adam_{subject.fault('optimizer')}\n"
            f"    step: peers_step_{subject.fault('step')}\n"
            f"    checks:\n{checks}"
        )
    return f"schema: 1\ncases:\n  {subject.id}:\n    framework: {framework}\n    {body}\n"


def spec_of(array: Any, drawn: bool) -> str:
    """An input as a case declares it: its shape where any numbers do, otherwise its values."""
    if array.dtype.kind == "i":
        return f"{{values: {array.tolist()}, dtype: int}}"
    return f"{list(array.shape)}" if drawn else f"{{values: {array.tolist()}}}"


def plugin(framework: str) -> Any:
    """The plugin that registers every subject for a framework."""
    lib = importlib.import_module({"pytorch": "torch"}.get(framework, framework))
    here = {"framework": framework}

    @hookimpl
    def gradcheck_register(register: Register) -> None:
        for subject in [*ops.FAULTS, *ops.CORRECT]:
            register.op(f"peers_{subject.id}", make_op(subject, framework), **here)
        register.model("peers_chars", functools.partial(models.make_model, lib), **here)
        for fault in _faults("loss"):
            register.loss(f"peers_loss_{fault}", models.make_loss(lib, fault), **here)
        for fault in _faults("optimizer"):
            register.optimizer(f"peers_adam_{fault}", _optimizer(lib, fault), **here)
        for fault in _faults("step"):
            train = functools.partial(models.train, fault=fault)
            register.step(f"peers_step_{fault}", _step, train=train, **here)
        register.dataset("peers_data", models.Chars)

    return types.SimpleNamespace(__name__="peers", gradcheck_register=gradcheck_register)


def _faults(part: str) -> list[str]:
    return ["", *(s.id for s in models.FAULTS if s.part == part)]


def _step(model: Any, batch: Any, loss: Any) -> Any:
    return loss(model(*batch[:-1]), batch[-1])


def _optimizer(lib: Any, fault: str) -> Callable[..., Any]:
    def make(model: Any, lr: float | None = None) -> Any:
        made = models.make_optimizer(lib, model, fault)
        if lr is not None:  # a rate that the sweep tries
            made = lib.optim.Adam([p for g in made.param_groups for p in g["params"]], lr=lr)
        return made

    return make


def make_op(subject: Any, framework: str) -> Any:
    """The op for a framework."""
    if framework == "pytorch":
        from .in_torch import torch_op

        return torch_op(subject.fn, list(subject.arrays))
    from tinytorch import op

    return op(name=f"peers_{subject.id}")(subject.fn)
