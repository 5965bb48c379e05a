"""Watch a script: start it, read what was seen, ask for trials, and put the findings together."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gradcheck.checks.graph.advice import advice as advice_on
from gradcheck.checks.graph.advice import kept, rewrite
from gradcheck.checks.graph.cuts import place, responsible
from gradcheck.checks.lib.words import plural, some
from gradcheck.frameworks.protocol import Cut
from gradcheck.result import Finding
from gradcheck.watch import sweep
from gradcheck.watch.spec import Spec, Trial, cut_of, write

CHECKS = ("data", "graph", "gradient", "updates", "rate")
"""The questions that are asked of a script."""


@dataclass(frozen=True)
class Wanted:
    """The options of the command. rates: to try, besides the script's own; () for multiples.
    folder: where the script runs; None for the working directory."""

    script: str
    arguments: tuple[str, ...] = ()
    module: bool = False
    steps: int = 40
    rates: tuple[float, ...] = ()
    checks: tuple[str, ...] = CHECKS
    seconds: float = 60.0
    plugins: tuple[str, ...] = ("plugins",)
    folder: str | None = None


@dataclass
class Seen:
    """What came out. could: whether the script could be looked at at all."""

    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    could: bool = True
    problem: str | None = None
    where: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    verdict: sweep.Verdict | None = None
    output: str = ""


ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "MPLBACKEND": "Agg",
    "TORCHDYNAMO_DISABLE": "1",
    "WANDB_MODE": "disabled",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
}
"""One thread, so that trials can be copies of the process and run side by side; nothing compiled,
drawn or sent anywhere."""


def watch(wanted: Wanted, say: Callable[[str], None] = lambda text: None) -> Seen:
    """Run the script and its trials. `say` is told what is going on."""
    with tempfile.TemporaryDirectory(prefix="gradcheck-watch-") as folder:
        script = Script(wanted, Path(os.path.realpath(folder)))
        try:
            return _watch(wanted, script, say)
        finally:
            script.end()


def _watch(wanted: Wanted, script: Script, say: Callable[[str], None]) -> Seen:
    say("the first steps")
    facts = script.look()
    seen = Seen(facts=facts, output=script.output())
    if not facts:
        seen.could, seen.problem = False, script.died()
        return seen
    seen.notes += facts["notes"]
    seen.findings += [Finding.from_json(f) for f in facts["findings"]]
    missing = [n for o in facts["optimizers"] for n in o["missing"]]
    if _nothing_to_see(wanted, facts, seen):
        if missing and "graph" in wanted.checks:  # an error behind a cut is often its effect
            say("where the graph is cut")
            behind = _cuts(script, missing, again=True)
            seen.findings = [*_cut_findings(behind, facts), *seen.findings]
        return seen
    cuts: list[Cut] = []
    if missing and "graph" in wanted.checks:
        say("where the graph is cut")
        cuts = _cuts(script, missing)
        seen.findings = [*_cut_findings(cuts, facts), *seen.findings]
        if not cuts:
            seen.notes.append(_no_way(missing, facts))
    if "rate" in wanted.checks and seen.problem is None:
        _rate(wanted, script, facts, cuts, missing, seen, say)
    final = script.complete()
    if final:
        wrong = [Finding.from_json(f) for f in final["findings"][len(facts["findings"]) :]]
        seen.notes += [note for note in final["notes"] if note not in facts["notes"]]
        if wrong and any(f.data.get("check") == "rate" for f in seen.findings):
            seen.findings = [f for f in seen.findings if f.data.get("check") != "rate"]
            seen.notes.append(UNJUDGED + MEND)
        seen.findings += wrong
        seen.facts = final
    seen.findings = [f for f in seen.findings if f.data.get("check") in wanted.checks]
    return seen


def _nothing_to_see(wanted: Wanted, facts: dict[str, Any], seen: Seen) -> bool:
    """Say why there was no step to look at."""
    how, where = facts["how"], facts["where"]
    printed = (seen.output.strip().splitlines() or [""])[-1]
    if how not in ("steps", "ended") and not how.startswith("exited"):
        seen.problem, seen.where = f"the script fails by itself: {how}", where
        seen.could = facts["steps"] > 0
    elif not facts["backwards"]:
        seen.could = False
        said = "".join(f"; {failure}" for failure in facts.get("failures", ()))
        said += f"; the last thing that it printed is: {printed}" if printed else ""
        seen.problem = f"the script {how} without calling backward(){said}"
    elif not facts["steps"]:
        seen.could = False
        seen.problem = (
            f"the script {how} after {plural(facts['backwards'], 'call')} of backward() and no "
            "step of an optimizer that can be watched: one of torch.optim or tinytorch.optim, or "
            "derived from those"
        )
    return not seen.could


# --- the graph ------------------------------------------------------------------------------------


def _cuts(script: Script, missing: Sequence[str], *, again: bool = False) -> list[Cut]:
    """again: with a script that does not get to its second step, from its first line on."""
    trial = Trial("trace", "", names=tuple(missing), seconds=60.0)
    result = script.trials([trial], again=again)[0]
    return [cut_of(cut) for cut in result.get("cuts", ())]


def _cut_findings(cuts: Sequence[Cut], facts: dict[str, Any]) -> list[Finding]:
    """One finding for each line that costs parameters their gradient."""
    behind: dict[str, list[str]] = {}
    total = sum(len(o["names"]) for o in facts["optimizers"])
    for optimizer in facts["optimizers"]:
        for name in optimizer["missing"]:
            index = responsible(cuts, name)
            if index is not None:
                behind.setdefault(place(cuts[index]), []).append(name)
    found = []
    for at, full in behind.items():
        names = _shown(full, facts)
        cut = next(c for c in cuts if place(c) == at)
        lines = [cut.text]
        if len(names) < total:
            lines.append(f"upstream of it: {some(names)}")
        if cut.inside is not None:
            lines.append(f"called at {cut.where}")
        found.append(
            Finding(
                code="cut",
                message=f"the graph is cut: {len(names)} of {total} parameters get no gradient "
                "from the loss",
                where=at,
                lines=tuple(lines),
                parameter=names[0],
                advice=_advice(cut),
                data={
                    "fix": rewrite(cut.text) or kept(cut.text),
                    "kind": cut.kind,
                    "check": "graph",
                    "parameters": names,
                },
            )
        )
    return found


def _advice(cut: Cut) -> str:
    """As the check `graph` says it; but no case is there to allow a cut."""
    if cut.kind != "detach":
        return advice_on(cut)
    return (
        "leave out .detach(); if these parameters are meant to stay as they are, leave them out of "
        "the optimizer"
    )


def _shown(names: Sequence[str], facts: dict[str, Any]) -> list[str]:
    """Full names as a person knows them: with the model's name where there are several."""
    shown = []
    for full in names:
        number, _, name = full.partition(":")
        roots = list(facts["optimizers"][int(number)]["roots"])
        several = len(facts["optimizers"]) > 1 and len(roots) == 1
        shown.append(f"{roots[0]}.{name}" if several else name)
    return shown


def _no_way(missing: Sequence[str], facts: dict[str, Any]) -> str:
    total = sum(len(o["names"]) for o in facts["optimizers"])
    return (
        f"{len(missing)} of {total} parameters in the optimizer got no gradient in these steps, "
        f"and no cut explains it: the loss does not use them ({some(_shown(missing, facts))})"
    )


# --- the rate -------------------------------------------------------------------------------------


def _rate(
    wanted: Wanted,
    script: Script,
    facts: dict[str, Any],
    cuts: Sequence[Cut],
    missing: Sequence[str],
    seen: Seen,
    say: Callable[[str], None],
) -> None:
    reason = _not_judged(facts)
    if reason is None and any(f.code in SPOILING for f in seen.findings):
        reason = MEND
    if reason is not None:
        seen.notes.append(UNJUDGED + reason)
        return
    optimizer = facts["optimizers"][0]
    rate = max(optimizer["rates"])
    bridge = tuple(cuts) if missing else ()
    factors = [r / rate for r in wanted.rates] or list(sweep.FACTORS)
    if 1.0 not in factors:
        factors.append(1.0)
    base = Trial(
        "rate", "", steps=wanted.steps, seconds=wanted.seconds, bridge=bridge, names=tuple(missing)
    )
    say(f"{len(factors)} learning rates, {wanted.steps} steps each")
    trials = [replace(base, factor=f) for f in factors]
    results = script.trials(trials)
    failed = [text for r in results for text in r.get("failed", ())]
    if failed:
        seen.notes.append(
            f"the learning rate was not judged: the cut could not be bridged ({failed[0]}); mend "
            "it and watch again"
        )
        return
    own = next((r for t, r in zip(trials, results) if t.factor == 1.0 and r), None)
    if own:  # a warm-up ends higher than its first steps
        rate = own["peak"] or rate
    runs = _runs(rate, trials, results)
    if not wanted.rates and sweep.leads_nowhere(rate, runs):
        lower = [replace(base, factor=f) for f in sweep.LOWER]
        runs += _runs(rate, lower, script.trials(lower))
    verdict = sweep.judge(rate, runs)
    if verdict.code == "lr_too_low":
        say("whether its own learning rate gets there later")
        steps = sweep.LONGER * wanted.steps
        longer = replace(base, steps=steps, seconds=wanted.seconds / 2, goal=verdict.goal)
        confirmed = None
        for ran in _runs(rate, [longer], script.trials([longer])):
            confirmed = sweep.confirm(verdict, ran, wanted.steps)
        if confirmed is None:
            seen.notes.append(
                f"{wanted.steps} steps at a learning rate of {sweep.rate_text(verdict.best or 0)} "
                "lower the loss more, but a step takes too long to see where the script's own "
                "rate gets; --seconds gives it more time"
            )
        verdict = confirmed or replace(verdict, code="fine")
    seen.verdict = verdict
    if verdict.code == "fine":
        return
    assert verdict.best is not None
    judged = " (judged with the cut bridged)" if bridge else ""
    seen.findings.append(
        Finding(
            code=verdict.code,
            message=verdict.message + judged,
            where=optimizer["at"],
            lines=(verdict.row(wanted.steps),),
            advice=f"try lr={sweep.rate_text(verdict.best)}",
            data={
                "fix": f"lr={sweep.rate_text(verdict.best)}",
                "check": "rate",
                **verdict.to_json(),
            },
        )
    )


def _runs(
    rate: float, trials: Sequence[Trial], results: Sequence[dict[str, Any]]
) -> list[sweep.Ran]:
    return [
        sweep.Ran(rate * t.factor, tuple(map(float, r["losses"])), r["how"])
        for t, r in zip(trials, results)
        if r
    ]


UNJUDGED = "the learning rate was not judged: "
MEND = "mend what stands above first, which changes it"
SPOILING = {
    "softmax_twice",
    "sign_flipped",
    "gradient_accumulates",
    "cleared_too_soon",
    "stepped_twice",
    "stale_optimizer",
    "loss_not_finite",
    "gradient_not_finite",
    "not_finite",
    "rate_zero",
    "not_in_optimizer",
    "misaligned",
}
"""Findings behind which the losses of other rates say nothing about the rate."""


def _not_judged(facts: dict[str, Any]) -> str | None:
    """Why the losses of other rates would say nothing about the rate; None where they do."""
    if len(facts["optimizers"]) != 1:
        return f"the script has {len(facts['optimizers'])} optimizers, whose losses pull apart"
    rates = facts["optimizers"][0]["rates"]
    if not rates or max(rates) <= 0:
        return "the optimizer shows no rate"
    if facts["beside"]:
        return f"{facts['beside'][0]} takes part and is not trained, so the loss may move by itself"
    return None


# --- the script -----------------------------------------------------------------------------------


MOST_AT_ONCE = 4
"""Trials that run side by side: each has the memory of the whole script."""


def _cores() -> int:
    """Cores that this process may use, where the system tells; else those that there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Script:
    """The process of the script, and the copies of it that run trials."""

    def __init__(self, wanted: Wanted, folder: Path) -> None:
        self.wanted = wanted
        self.folder = folder
        self.spec: Spec | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.commands: int | None = None
        self.answers: int | None = None
        self.split = False
        self.count = 0
        self.together = max(1, min(MOST_AT_ONCE, _cores()))
        for name in ("files", "tmp"):
            (folder / name).mkdir()

    def look(self) -> dict[str, Any]:
        """Run to the end of the first steps; {} where the process died."""
        report = self.folder / "report.json"
        pipes = hasattr(os, "fork")
        take, self.commands = os.pipe() if pipes else (None, None)
        self.answers, give = os.pipe() if pipes else (None, None)
        wanted = self.wanted
        self.spec = Spec(
            script=wanted.script,
            arguments=wanted.arguments,
            scratch=str(self.folder),
            plugins=wanted.plugins,
            report=str(report),
            module=wanted.module,
            proof="gradient" in wanted.checks,
            commands=take,
            answers=give,
        )
        self.process = self._start(self.spec, "spec.json", [f for f in (take, give) if f])
        for end in (take, give):
            if end is not None:
                os.close(end)
        self._wait_for(report, self.process)
        facts = self._read(report)
        self.split = bool(facts.get("split"))
        return facts

    def complete(self) -> dict[str, Any]:
        """The report with the proof of the ops."""
        assert self.process is not None
        try:
            self.process.wait(timeout=120)
        except subprocess.TimeoutExpired:
            return {}
        return self._read(self.folder / "report.json")

    def trials(self, trials: Sequence[Trial], *, again: bool = False) -> list[dict[str, Any]]:
        """The results of trials, in their order; {} for one that died. A few run at once. again:
        by running the script again, though copies could be made."""
        named = []
        for trial in trials:
            self.count += 1
            named.append(replace(trial, result=str(self.folder / f"trial{self.count}.json")))
        if self.split and not again:
            self._by_copies(named)
        else:
            self._by_running_again(named)
        return [self._read(Path(t.result)) for t in named]

    def _by_copies(self, trials: Sequence[Trial]) -> None:
        assert self.commands is not None
        assert self.answers is not None
        waiting, running, rest = list(trials), 0, b""
        until = time.monotonic() + sum(t.seconds for t in trials) + 10
        while waiting or running:
            while waiting and running < self.together:
                text = json.dumps(asdict(waiting.pop(0))) + "\n"
                os.write(self.commands, text.encode())
                running += 1
            ready, _, _ = select.select([self.answers], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                return
            chunk = os.read(self.answers, 1 << 16)
            if not chunk:
                return
            *lines, rest = (rest + chunk).split(b"\n")
            running -= len(lines)

    def _by_running_again(self, trials: Sequence[Trial]) -> None:
        assert self.spec is not None
        waiting = list(trials)
        running: list[tuple[subprocess.Popen[bytes], float]] = []
        while waiting or running:
            while waiting and len(running) < self.together:
                trial = waiting.pop(0)
                spec = replace(self.spec, trial=trial, commands=None, answers=None)
                name = f"spec{len(waiting)}.json"
                limit = time.monotonic() + 2 * trial.seconds + 60
                running.append((self._start(spec, name, []), limit))
            time.sleep(0.05)
            for process, limit in list(running):
                if process.poll() is not None:
                    running.remove((process, limit))
                elif time.monotonic() > limit:
                    _end(process)

    def _start(self, spec: Spec, name: str, descriptors: list[int]) -> subprocess.Popen[bytes]:
        path = self.folder / name
        write(path, spec)
        environment = {**os.environ, **ENVIRONMENT, "TMPDIR": str(self.folder / "tmp")}
        with (self.folder / f"{name}.out").open("wb") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "gradcheck.watch.child", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=self.wanted.folder,
                pass_fds=descriptors,
                start_new_session=True,
            )

    def _wait_for(self, report: Path, process: subprocess.Popen[bytes]) -> None:
        while not report.exists() and process.poll() is None:
            time.sleep(0.02)

    def _read(self, path: Path) -> dict[str, Any]:
        if not path.exists():
            return {}
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return values

    def output(self) -> str:
        """What the script printed until now."""
        out = self.folder / "spec.json.out"
        return out.read_text(encoding="utf-8", errors="replace") if out.exists() else ""

    def died(self) -> str:
        assert self.process is not None
        self.process.wait()
        code = self.process.returncode
        last = (self.output().strip().splitlines() or ["it printed nothing"])[-1]
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        return f"the process of the script ended with {how} before its first steps: {last}"

    def end(self) -> None:
        """Close the pipes, which ends the copy that waits, and end what still runs."""
        for end in (self.commands, self.answers):
            if end is not None:
                os.close(end)
        if self.process is not None:
            _end(self.process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process of ours and the copies that it made."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
