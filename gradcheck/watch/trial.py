"""One trial: the script goes on with other rates, over a bridged cut, or under the tracer."""

from __future__ import annotations

import math
import os
import time
from contextlib import ExitStack
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import (
    BridgesCuts,
    Cut,
    CutTrace,
    Framework,
    SkipsBuilding,
    TracesCuts,
)
from gradcheck.result import plain
from gradcheck.watch.session import LossCall, ModelCall, Session, Watched, groups_of, save
from gradcheck.watch.spec import Trial
from gradcheck.watch.sweep import LAST

DIVERGED = 1e3
"""A loss of so many times the first one (or 1, if that is smaller) will not come back."""


SCALED = 256.0
"""From here on, a power of two by which a loss is multiplied comes from a GradScaler."""
IDLE = 5
"""A trial may last so many times as long as it may compute."""


def scale_of(loss: float, called: float) -> float:
    """By what mixed precision multiplied a loss before backward(): 1 for nothing."""
    ratio = loss / called if called and math.isfinite(called) and math.isfinite(loss) else 1.0
    if ratio < SCALED or abs(math.log2(ratio) - round(math.log2(ratio))) > 1e-3:
        return 1.0
    return float(2.0 ** round(math.log2(ratio)))


class TrialRun:
    """A `Mode` that trains and writes down the losses."""

    def __init__(self, session: Session, trial: Trial) -> None:
        self.session = session
        self.trial = trial
        self.losses: list[float] = []
        self.pending: list[float] = []
        self.cuts: dict[str, Cut] = {}
        self.failed: list[str] = []
        self.not_finite: dict[str, Any] | None = None
        self.trace: CutTrace | None = None
        self.called = math.nan
        self.latest: Any = None
        self.traced: set[str] = set()
        self.rates: dict[int, list[Any]] = {}
        self.peak = 0.0
        # of this process's own time, so that a busy machine judges as an idle one
        self.until = time.process_time() + trial.seconds
        self.at_last = time.monotonic() + IDLE * trial.seconds
        self.stack = ExitStack()

    def begin(self, framework: Framework) -> None:
        """Switch the tracer or the bridge on."""
        if self.trial.kind == "trace" and isinstance(framework, TracesCuts):
            self.trace = self.stack.enter_context(framework.trace_cuts())
            if isinstance(self.trace, SkipsBuilding):
                self.trace.built()
        elif self.trial.bridge and isinstance(framework, BridgesCuts):
            self.failed = self.stack.enter_context(framework.bridge_cuts(self.trial.bridge))

    # --- events ----------------------------------------------------------------------------------

    def model_called(self, framework: Framework, call: ModelCall) -> None:
        pass

    def loss_called(self, framework: Framework, call: LossCall) -> None:
        value = np.asarray(framework.value(call.result))
        self.called = float(value.reshape(-1)[0]) if value.size == 1 else math.nan

    def batch_drawn(self, loader: Any, number: int) -> None:
        pass

    def before_backward(self, framework: Framework, output: Any) -> bool:
        if self.trace is not None:
            self.latest = output
            for watched in self.session.optimizers:
                watched.name()
        value = np.asarray(framework.value(output))
        loss = float(value.reshape(-1)[0]) if value.size == 1 else math.nan
        loss /= scale_of(loss, self.called)
        self.called = math.nan
        self.pending.append(loss)
        first = self.losses[0] if self.losses else loss
        if not math.isfinite(loss) or abs(loss) > DIVERGED * max(abs(first), 1.0):
            self.losses.append(loss)
            self.finish("diverged")
        if time.process_time() > self.until or time.monotonic() > self.at_last:
            self.finish("time")
        return framework.trainable(output)

    def after_backward(self, framework: Framework, output: Any) -> None:
        pass

    def before_step(self, watched: Watched) -> None:
        watched.name()
        if self.trace is not None:
            self._look_for_cuts(watched)
        bad = [
            name
            for name, leaf in watched.named.leaves.items()
            if (g := watched.framework.grad(leaf)) is not None and not np.isfinite(np.sum(g))
        ]
        if bad and self.not_finite is None:
            self.not_finite = {"step": watched.steps, "names": bad}
        if self.trial.bridge and watched.steps == 1:
            self._say_whether_it_holds(watched)
        self.peak = max([self.peak, *watched.rates()])
        if self.trial.factor != 1.0:
            groups = groups_of(watched.optimizer)
            self.rates[watched.number] = [group.get("lr") for group in groups]
            for group in groups:
                if "lr" in group:
                    group["lr"] = group["lr"] * self.trial.factor

    def after_step(self, watched: Watched) -> None:
        for group, rate in zip(groups_of(watched.optimizer), self.rates.pop(watched.number, ())):
            if rate is not None:
                group["lr"] = rate
        if watched is not self.session.optimizers[0] and len(self.session.optimizers) == 1:
            return
        if self.pending:
            self.losses.append(float(np.mean(self.pending)))
            self.pending.clear()
        if len(self.losses) >= self.trial.steps or self._is_there():
            self.finish("steps")

    def _is_there(self) -> bool:
        """Whether the mean of the last losses has reached the goal."""
        last = self.losses[-LAST:]
        goal = self.trial.goal
        return goal is not None and len(last) == LAST and sum(last) / LAST <= goal

    def ended(self, how: str, where: str | None) -> None:
        if self.trace is not None:
            for watched in self.session.optimizers:
                self._look_for_cuts(watched)
        self.finish(how)

    def _among(self, watched: Watched) -> dict[str, Any]:
        """What an optimizer holds of the parameters that the trial is about, by their full name."""
        full = {watched.full_name(n): leaf for n, leaf in watched.named.leaves.items()}
        return {n: leaf for n, leaf in full.items() if n in self.trial.names}

    def _say_whether_it_holds(self, watched: Watched) -> None:
        """The second step is the first whose forward ran over the bridge."""
        leaves = self._among(watched).values()
        if leaves and all(watched.framework.grad(leaf) is None for leaf in leaves):
            self.failed.append("no gradient reached the parameters behind it")

    # --- the end ---------------------------------------------------------------------------------

    def _look_for_cuts(self, watched: Watched) -> None:
        """Behind the output of the last backward before an optimizer steps: that is its loss. The
        first forward of all ran before the tracer was on."""
        assert self.trace is not None
        wanted = self._among(watched)
        late = watched.steps >= 1 or self.session.spec.trial is not None
        if wanted and late and self.latest is not None:
            for cut in self.trace.cuts(self.latest, wanted):
                self.cuts.setdefault(f"{cut.kind} {cut.inside} {cut.where}", cut)
            self.traced |= set(wanted)
        if self.traced >= set(self.trial.names) or watched.steps > 3:
            self.finish("steps")

    def finish(self, how: str) -> None:
        """Write the result and end the process, wherever the script is."""
        import dataclasses

        save(
            self.trial.result,
            plain(
                {
                    "how": how,
                    "losses": self.losses,
                    "cuts": [dataclasses.asdict(cut) for cut in self.cuts.values()],
                    "failed": self.failed,
                    "peak": self.peak,
                    "not_finite": self.not_finite,
                }
            ),
        )
        os._exit(0)
