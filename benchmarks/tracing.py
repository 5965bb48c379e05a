"""What tracing costs: nothing for `.data` when it is off, and a graph check next to training steps.

    python benchmarks/tracing.py

Prints medians over paired, alternating runs in this process:
- `.data` against the plain slot `_data`, before any tracer ran and after one has run and gone;
- the graph check against one training step of the same model: a small, a slow and a large one.
"""

from __future__ import annotations

import statistics
import time
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gradcheck.engine import run_check
from gradcheck.names.load import load
from gradcheck.names.registry import Entry, Registry
from gradcheck.probe.from_case import CaseSubject
from gradcheck.yamlcases.case import Case, DataSpec, Named
from tinytorch import Tensor
from tinytorch.tracing import Tracer

ROOT = Path(__file__).resolve().parents[1]
MOST_STEPS = 5.0


def ratio_of_reads(rounds: int = 31, reads: int = 100_000) -> float:
    """Time of `x.data` over that of `x._data`."""
    x = Tensor([1.0, 2.0])
    public = timeit.Timer("x.data", globals={"x": x})
    slot = timeit.Timer("x._data", globals={"x": x})
    return statistics.median(public.timeit(reads) / slot.timeit(reads) for _ in range(rounds))


def median_time(run: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def steps_per_check(case: Case, registry: Registry, rounds: int) -> float:
    """The graph check in training steps of the same case."""
    subject = CaseSubject(case.model_copy(update={"step": None}), registry)  # the sound step
    subject.train_step()
    run_check(case, "graph", registry)
    step = median_time(subject.train_step, rounds)
    build = median_time(lambda: CaseSubject(case, registry), rounds)
    # Every run also reads the data and builds the model twice (for the engine, then for the check),
    # as each check does: shown by itself, and no part of the ratio.
    check = median_time(lambda: run_check(case, "graph", registry), rounds)
    print(
        f"{case.name}: step {1e3 * step:.1f} ms, building {1e3 * build:.1f} ms, graph check "
        f"{1e3 * check:.1f} ms, without building {(check - 2 * build) / step:.2f} steps"
    )
    return (check - 2 * build) / step


def rebuilds_logits(model: Any, batch: tuple[Tensor, ...], loss: Any) -> Tensor:
    """Cuts the graph; differentiable all the same, so that it can be timed as a step."""
    logits = model(batch[0])
    return loss(Tensor(logits.data, requires_grad=True), batch[1])


def main() -> None:
    print(f".data / ._data before any tracer: {ratio_of_reads():.3f}")
    with Tracer():
        pass
    print(f".data / ._data after a tracer:    {ratio_of_reads():.3f}")
    same = Tensor.__dict__["data"] is Tensor.__dict__["_data"]
    print(f"one descriptor under two names:   {same}")
    registry = load([ROOT / "plugins"], entry_points=False)
    digits = Case(
        name="mlp_digits",
        model="mlp",
        args={"sizes": [64, 256, 256, 10]},
        data=DataSpec(name="digits", batch=64),
        loss=Named(name="cross_entropy"),
        optimizer=Named(name="adam", lr=0.01),
    )
    chars = Case(
        name="char_lstm",
        model="char_lstm",
        args={"hidden": 64, "embed": 32},
        data=DataSpec(name="char_sequences", batch=16, length=32, samples=64),
        loss=Named(name="sequence_cross_entropy"),
        optimizer=Named(name="adam", lr=0.01),
    )
    cases = [digits, chars]
    if "gpt" in registry.names("model", "tinytorch"):
        cases.append(
            Case(
                name="gpt_4.8M",
                model="gpt",
                args={"vocab": 80, "context": 64, "layers": 6, "heads": 8, "width": 256},
                data=DataSpec(name="stories", context=64, batch=16, stories=200),
                loss=Named(name="sequence_cross_entropy"),
                optimizer=Named(name="adam", lr=0.001),
            )
        )
        # The same with the graph cut behind the logits: the finite differences of a failing check.
        cases.append(cases[-1].model_copy(update={"name": "gpt_4.8M, cut", "step": "cut"}))
        registry.add(Entry("step", "cut", rebuilds_logits, "benchmark", __file__, "tinytorch"))
    worst = max(steps_per_check(case, registry, 9) for case in cases)
    print(f"most steps a check costs: {worst:.2f} (allowed: {MOST_STEPS:g})")


if __name__ == "__main__":
    main()
