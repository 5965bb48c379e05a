"""gradcheck on the jobs of `gradient.py`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from contestants import SIZES, sampled, seconds_of, smallest_seen

import tinytorch
from gradcheck import check_gradients
from gradcheck.checks.gradient.check import Gradient
from gradcheck.frameworks.protocol import Precision
from gradcheck.frameworks.tinytorch import TinyTorch
from gradcheck.names import load as plugins
from gradcheck.names.registry import Registry
from gradcheck.numerics.core.differences import Precision as Roundoff
from gradcheck.numerics.end_to_end import endtoend, entrywise, preflight
from gradcheck.numerics.end_to_end.replay import Replay
from gradcheck.numerics.examine import Settings, examine
from gradcheck.probe.from_case import CaseSubject
from gradcheck.probe.from_model import ModelSubject
from gradcheck.yamlcases import load as casefile
from gradcheck.yamlcases.case import Case, InputSpec
from tinytorch import OPS, Op
from tinytorch.tensor import Tensor

ROOT = Path(__file__).resolve().parent.parent
FRAMEWORK = TinyTorch()


class Spoil:
    """The identity, with one entry of the gradient off by a relative error."""

    entry: Any = ()
    error = 0.0

    @staticmethod
    def forward(x):  # type: ignore[no-untyped-def]  # an array: an annotation makes it an attribute
        def pullback(g: Any) -> Any:
            g = np.array(g)
            g[Spoil.entry] *= 1 + Spoil.error
            return g

        return x.copy(), pullback


SPOIL = Op(Spoil.forward, "spoil")
SUBJECTS: dict[str, Any] = {
    "sin": (lambda x: OPS["sin"](x), (3, 4)),
    "softmax": (lambda x: OPS["softmax"](x, -1), (3, 4)),
    "mean": (lambda x: OPS["mean"](x), (1000,)),
}


def registry() -> Registry:
    return plugins.load()


def gpt(**sizes: Any) -> Any:
    tinytorch.manual_seed(0)
    return registry().get("model", "gpt", "tinytorch").value(**{**SIZES, **sizes})


def loss_of(time: int = 8, vocab: int = 16) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    cross_entropy = registry().get("loss", "sequence_cross_entropy", "tinytorch").value
    ids, targets = rng.integers(0, vocab, (2, time)), Tensor(rng.integers(0, vocab, (2, time)))
    return ids, lambda output: cross_entropy(output, targets)


def seen(subject: str) -> dict[str, Any]:
    if subject == "transformer":
        return seen_in_the_transformer()
    fn, shape = SUBJECTS[subject]
    x = np.random.default_rng(0).standard_normal(shape)
    leaf = Tensor(x, requires_grad=True)
    y = fn(leaf)
    y.backward(np.random.default_rng(1).standard_normal(y.shape))

    def wrong(entry: tuple[int, ...], error: float) -> bool:
        Spoil.entry, Spoil.error = entry, error
        return check_gradients(lambda v: fn(SPOIL(v)), x, framework=FRAMEWORK).outcome == "failed"

    return {"smallest": smallest_seen(wrong, sampled(leaf.grad))}


def seen_in_the_transformer() -> dict[str, Any]:
    """Planted in an op on the way to a parameter, and outside any op (the leaf's own gradient)."""
    model = gpt()
    ids, loss = loss_of()
    # Sizes are those at the point where the check looks, a little off the initial values.
    point = examine(subject_of(model, ids, loss), Settings(scalar=True)).point
    gradients = {n: g for n, g in point.analytic.items() if g is not None}
    # One entry of every tensor, the one nearest the median.
    places = [(n, sampled(gradients[n], 2)[0]) for n in gradients if np.any(gradients[n])]

    class Outside(TinyTorch):
        target: Any = None
        error = 0.0

        def grad(self, leaf: Any) -> Any:
            g = super().grad(leaf)
            if g is not None and self.names.get(id(leaf)) == self.target[0]:
                g[self.target[1]] *= 1 + self.error
            return g

        def named_parameters(self, made: Any) -> Any:
            found = super().named_parameters(made)
            self.names = {id(p): n for n, p in found.items()}
            return found

    adapter = Outside()

    def outside(place: Any, error: float) -> bool:
        adapter.target, adapter.error = place, error
        return check_gradients(model, ids, loss=loss, framework=adapter).outcome == "failed"

    def inside(place: Any, error: float) -> bool:
        with spoiled_linear(place, error) as planted:
            failed = check_gradients(model, ids, loss=loss, framework=FRAMEWORK).outcome == "failed"
        return failed and planted

    weights = [n for n in gradients if "linear" in _kind(model, n) and n.endswith("weight")]
    return {
        "smallest": smallest_seen(inside, [(n, sampled(gradients[n], 2)[0]) for n in weights[:3]]),
        "outside any op": {
            place[0]: {
                "entries": gradients[place[0]].size,
                "smallest": smallest_seen(outside, [place]),
            }
            for place in places
        },
    }


def _kind(model: Any, name: str) -> str:
    part = model
    for piece in name.split(".")[:-1]:
        part = part[int(piece)] if piece.isdigit() else getattr(part, piece)
    return type(part).__name__.lower()


@contextmanager
def spoiled_linear(place: Any, error: float) -> Iterator[bool]:
    """One entry of the weight gradient of every `linear` with a weight large enough."""
    linear = OPS["linear"]
    original = linear.fn

    def wrong(*args: Any, **kwargs: Any) -> Any:
        y, pullback = original(*args, **kwargs)

        def spoil(part: Any) -> Any:
            part = np.array(part)
            if part.ndim >= 2 and all(i < n for i, n in zip(place[1], part.shape[-2:])):
                part[..., place[1][0], place[1][1]] *= 1 + error
            return part

        if isinstance(pullback, tuple):
            x_part, w_part, *rest = pullback
            return y, (x_part, lambda g: spoil(w_part(g)), *rest)

        def whole(g: Any) -> Any:
            x_part, w_part, *rest = pullback(g)
            return (x_part, spoil(w_part), *rest)

        return y, whole

    linear.fn = wrong
    try:
        yield True
    finally:
        linear.fn = original


# --- speed ---------------------------------------------------------------------------------------


def subject_of(model: Any, ids: Any, loss: Any) -> ModelSubject:
    return ModelSubject(
        model,
        FRAMEWORK,
        batch=[ids],
        step=lambda made, batch, _: loss(made(*batch)),
        name="gpt",
    )


def directions_of(model: Any, ids: Any, loss: Any) -> Any:
    """The end-to-end half of the certificate, with its share of the preparation."""
    rng = np.random.default_rng(0)
    point = preflight.prepare(subject_of(model, ids, loss), rng, scalar=True)
    forward = endtoend.make_forward(point, Replay(point.tape), rng, Roundoff())
    found = endtoend.check_directions(point, forward, Roundoff(), rng)
    assert found.replayed
    assert not found.wrong
    return point, forward


def speed(job: str) -> dict[str, Any]:
    analytic = job == "complex"
    model = gpt(activation="gelu_tanh") if analytic else gpt()
    ids, loss = loss_of()

    def whole(**options: Any) -> Any:
        return check_gradients(model, ids, loss=loss, framework=FRAMEWORK, **options)

    if job == "certificate":
        seconds, result = seconds_of(whole, 3)
        assert result.outcome == "passed", result.findings
        return {"seconds": seconds, **result.measurements}
    if job == "directions":
        fresh = iter([gpt() for _ in range(5)])  # the check moves the parameters a little
        return {"seconds": seconds_of(lambda: directions_of(next(fresh), ids, loss), 5)[0]}
    if job == "failing":
        original = OPS["gelu"].fn

        def wrong(*args: Any, **kwargs: Any) -> Any:
            y, pullback = original(*args, **kwargs)
            return y, lambda g: 1.0001 * pullback(g)

        OPS["gelu"].fn = wrong
        seconds, result = seconds_of(whole, 3)
        assert result.outcome == "failed"
        return {"seconds": seconds}
    if job == "complex":
        seconds, result = seconds_of(lambda: whole(method="complex", exhaustive=True), 1)
        assert result.outcome == "passed", result.findings
        assert result.measurements["exhaustive"], result.notes
        error = result.measurements["complex_step_error"]
        return {"seconds": seconds, "error": error, "kind": "relative to the leaf's largest"}
    seconds, result = seconds_of(lambda: whole(exhaustive=True), 1)
    assert result.outcome == "passed", result.findings
    point, forward = directions_of(model, ids, loss)
    verdicts, _ = entrywise.check_entries(point, forward, Roundoff())
    error = max(float(np.max(np.abs(v.analytic - v.numeric))) for v in verdicts.values())
    return {"seconds": seconds, "error": error, "kind": "absolute"}


LARGE = {"vocab": 80, "context": 64, "layers": 6, "heads": 8, "width": 256}


def large() -> dict[str, Any]:
    model = gpt(**LARGE)
    ids, loss = loss_of(8, 80)
    count = sum(p._data.size for p in FRAMEWORK.named_parameters(model).values())
    seconds, _ = seconds_of(lambda: directions_of(model, ids, loss), 2)
    whole, result = seconds_of(
        lambda: check_gradients(model, ids, loss=loss, framework=FRAMEWORK), 1
    )
    assert result.outcome == "passed", result.findings
    return {"parameters": count, "directions, seconds": seconds, "certificate, seconds": whole}


def scaling() -> dict[str, Any]:
    counts, seconds = [], []
    for layers, width in ((2, 32), (2, 64), (4, 128), (6, 256)):
        model = gpt(vocab=80, context=64, layers=layers, heads=8, width=width)
        ids, loss = loss_of(8, 80)
        counts.append(sum(p._data.size for p in FRAMEWORK.named_parameters(model).values()))
        seconds.append(seconds_of(partial(directions_of, model, ids, loss), 3)[0])
    exponent = float(np.polyfit(np.log(counts), np.log(seconds), 1)[0])
    return {"parameters": counts, "seconds": seconds, "exponent": exponent}


# --- false alarms --------------------------------------------------------------------------------


class Single(TinyTorch):
    """A framework that computes in float32 only and records no calls."""

    precision = Precision("float32", "float32")
    tape = None  # type: ignore[assignment]


NEAR = [0.0, 1e-300, 1e-14, -1e-12, 1e-10, -1e-9, 1e-8, -1e-6, 1e-5, -1e-3, 0.01]


def alarms(count: int) -> dict[str, Any]:
    """Correct cases: the shipped op cases with other seeds, in float64 and float32, kinked ops at
    and next to their kinks, ties, and models."""
    known = registry()
    single = _with(known, Single)
    check, options = Gradient(), Gradient.Options
    paths = sorted((ROOT / "cases" / "ops").glob("*.yaml"))
    ops = _cases(paths, known)
    models = _cases([ROOT / "cases" / f"{n}.yaml" for n in ("iris", "xor", "digits")], known)
    cases: dict[str, int] = {}
    wrong: dict[str, int] = {}
    examples: list[str] = []

    def one(kind: str, case: Case, reg: Registry, seed: int, **chosen: Any) -> None:
        result = check.run(CaseSubject(case, reg, seed=seed), options(**chosen))
        cases[kind] = cases.get(kind, 0) + 1 + int(result.measurements.get("variants", 0))
        if result.findings:
            wrong[kind] = wrong.get(kind, 0) + 1
            if len(examples) < 10:
                examples.append(f"{case.name} seed {seed}: {result.findings[0].message}")

    seed = 0
    while sum(cases.values()) < count:
        seed += 1
        rng = np.random.default_rng(seed)
        for case in ops:
            one("ops and variants", case, known, seed, variants=seed <= 2)
            if seed % 2:
                one("ops in float32", case, single, seed, variants=False)
        for name in ("relu", "abs", "leaky_relu", "max", "min", "maximum", "clip"):
            for _ in range(8):
                one("kinks and ties", _kinked(name, rng), known, seed, variants=False)
        for case in models:
            one("models", case, known, seed)
            if seed % 2:
                one("models in float32", case, single, seed)
    return {"cases": cases, "alarms": wrong, "examples": examples}


def _cases(paths: list[Path], known: Registry) -> list[Case]:
    """The cases of these files that have the check."""
    loaded = [c for p in paths for c in casefile.load_cases(p, known, ROOT).cases]
    return [c for c in loaded if "gradient" in c.checks]


def _kinked(name: str, rng: np.random.Generator) -> Case:
    names = ("a", "b") if name == "maximum" else ("x",)
    values = {n: rng.choice([*NEAR, 1.0, 2.0, 2.0], (3, 4)).tolist() for n in names}
    inputs = {n: InputSpec(values=v) for n, v in values.items()}
    args = {"max": {"dim": -1}, "min": {"dim": -1}, "clip": {"min": 0.0, "max": 1.0}}
    return Case(name=name, op=name, inputs=inputs, args=args.get(name, {}))


def _with(known: Registry, framework: Any) -> Registry:
    made = Registry()
    for entry in known._entries.values():
        if entry.kind == "framework" and entry.name == "tinytorch":
            entry = type(entry)(entry.kind, entry.name, framework, entry.plugin, entry.where)
        made.add(entry)
    return made


__all__ = ["alarms", "examine", "large", "scaling", "seen", "speed"]
