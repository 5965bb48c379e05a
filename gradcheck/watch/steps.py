"""What the loop does wrong between backward() and the next one, of the diary of its first steps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from gradcheck.checks.lib.words import number, plural, some
from gradcheck.result import Finding
from gradcheck.watch.look import Diary, Step
from gradcheck.watch.session import Session, Watched

SAME = 1e-5
"""Relative difference up to which the number that went back is the one that the loss gave."""


def of_steps(session: Session, diary: Diary) -> Iterator[Finding]:
    """Findings about every optimizer, then about all together."""
    for watched in session.optimizers:
        steps = [s for s in diary.steps if s.watched is watched]
        yield from _of_one(watched, steps)
        if len(session.optimizers) == 1:
            yield from _added_up(watched, steps)
            yield from _sign(steps)
    yield from _not_held(session, diary)
    yield from _in_eval(session, diary)


def _of_one(watched: Watched, steps: list[Step]) -> Iterator[Finding]:
    checks = (_never_cleared, _cleared_too_soon, _twice, _not_finite, _not_moved, _frozen_moves)
    for check in checks:
        found = check(watched, steps)
        if found is not None:
            yield found
            return


def _never_cleared(watched: Watched, steps: list[Step]) -> Finding | None:
    """Every backward since the first step began with the gradients of the steps before."""
    later = [s for s in steps[1:] if s.backwards and any(s.norms.values())]
    if len(later) < 2 or any(b.clean.get(watched.number, True) for s in later for b in s.backwards):
        return None
    return Finding(
        code="gradient_accumulates",
        message=f"gradients are never cleared: in step {len(steps)} the optimizer gets the sum of "
        f"those of all {len(steps)} steps",
        where=_text(later[0].at),
        advice="call optimizer.zero_grad() once for each step, before backward()",
        data={"fix": f"{_variable(later[0])}.zero_grad() before backward()"},
    )


def _cleared_too_soon(watched: Watched, steps: list[Step]) -> Finding | None:
    """backward() fills the gradients, and step() finds none."""
    ran = [s for s in steps if s.backwards]
    filled = [b.filled.get(watched.number, False) for s in ran for b in s.backwards]
    if len(ran) < 2 or not all(filled) or any(any(s.norms.values()) for s in ran):
        return None
    return Finding(
        code="cleared_too_soon",
        message="optimizer.step() finds no gradient: all are cleared between backward() and it",
        where=_text(ran[0].at),
        advice="call zero_grad() before backward(), or after step()",
    )


def _twice(watched: Watched, steps: list[Step]) -> Finding | None:
    """Two steps with the very same gradients and no backward between them."""
    pairs = [
        (a, b)
        for a, b in itertools.pairwise(steps)
        if not b.backwards and b.digests and a.digests == b.digests and any(b.norms.values())
    ]
    if len(pairs) < 2:
        return None
    return Finding(
        code="stepped_twice",
        message="optimizer.step() is called twice for one backward(), with the same gradients",
        where=_text(pairs[0][1].at),
        advice="call optimizer.step() once for each backward()",
    )


def _not_finite(watched: Watched, steps: list[Step]) -> Finding | None:
    """A finite loss with gradients that are not."""
    for count, step in enumerate(steps, 1):
        losses = [b.loss for b in step.backwards]
        bad = [n for n, g in step.norms.items() if g is not None and not math.isfinite(g)]
        if any(not math.isfinite(x) for x in losses):
            return Finding(
                code="loss_not_finite",
                message=f"the loss is {next(x for x in losses if not math.isfinite(x))} at step "
                f"{count}",
                where=_text(step.backwards[0].at),
                advice="look for log, sqrt or a division at 0, for initial values that overflow, "
                "and for NaN in the data",
            )
        if bad:
            return Finding(
                code="gradient_not_finite",
                message=f"at step {count} the loss is finite, and the gradient of {some(bad)} is "
                "not",
                where=_text(step.backwards[0].at) if step.backwards else _text(step.at),
                parameter=bad[0],
                advice="look for sqrt, norm, log or a division at 0: a where() around the result "
                "does not stop the NaN in the backward; make the argument safe before the op",
            )
    return None


def _not_moved(watched: Watched, steps: list[Step]) -> Finding | None:
    """A gradient, a rate above 0, and values that stay."""
    if len(steps) < 2:
        return None
    if all(s.rates and max(s.rates) == 0 for s in steps):
        return Finding(
            code="rate_zero",
            message=f"the learning rate is 0 in all {len(steps)} steps",
            where=_text(watched.at),
            advice="look at the schedule: a warm-up that begins at 0 must be stepped every batch",
        )
    if any(not s.rates or min(s.rates) <= 0 for s in steps):
        return None
    still = [
        n
        for n in steps[0].norms
        if all(s.norms.get(n) or 0.0 for s in steps) and not any(n in s.moved for s in steps)
    ]
    if not still:
        return None
    return Finding(
        code="not_moved",
        message=f"{plural(len(still), 'parameter')} with a gradient did not move in {len(steps)} "
        f"steps: {some(still)}",
        where=_text(watched.at),
        parameter=still[0],
        advice="look at the rate of its group, and for what writes the old values back",
    )


def _frozen_moves(watched: Watched, steps: list[Step]) -> Finding | None:
    moved = sorted({n for s in steps for n in s.frozen & s.moved})
    if not moved:
        return None
    return Finding(
        code="frozen_moves",
        message=f"{plural(len(moved), 'frozen parameter')} moved: {some(moved)}",
        where=_text(steps[0].at),
        parameter=moved[0],
        advice="leave it out of the optimizer; gradients from before it was frozen still move it",
    )


# --- several backward passes for a step -----------------------------------------------------------


def _added_up(watched: Watched, steps: list[Step]) -> Iterator[Finding]:
    """The same line goes back k times for each step, each time with a whole mean loss."""
    if len(steps) < 3 or type(watched.optimizer).__name__ == "LBFGS":
        return
    counts = {len(s.backwards) for s in steps[:-1]}
    count = max(counts)
    if len(counts) != 1 or count < 2:
        return
    backwards = [b for s in steps[:-1] for b in s.backwards]
    whole = all(
        b.calls
        and b.calls[-1].options.get("reduction", "mean") == "mean"
        and _same(b.loss, b.calls[-1].value)
        for b in backwards
    )
    if whole and len({b.at for b in backwards}) == 1:
        yield Finding(
            code="not_normalised",
            message=f"each step gets the sum of {count} gradients, {count} times their mean: the "
            "micro-batches are not normalised",
            where=_text(backwards[0].at),
            advice=f"divide the loss of each micro-batch by {count} before backward()",
            data={"fix": f"(loss / {count}).backward()"},
        )


def _sign(steps: list[Step]) -> Iterator[Finding]:
    backwards = [b for s in steps for b in s.backwards if b.calls]
    if backwards and all(
        b.calls[-1].value > 1e-6 and _same(b.loss, -b.calls[-1].value) for b in backwards
    ):
        first = backwards[0]
        yield Finding(
            code="sign_flipped",
            message=f"backward() runs on minus the {first.calls[-1].name} ({number(first.loss)}): "
            "training raises it",
            where=_text(first.at),
            advice="leave out the minus",
        )


def _same(a: float, b: float) -> bool:
    return abs(a - b) <= SAME * max(abs(a), abs(b), 1e-12)


# --- what the optimizers hold ---------------------------------------------------------------------


def _not_held(session: Session, diary: Diary) -> Iterator[Finding]:
    """Parameters that get a gradient and that no optimizer moves."""
    for watched in session.optimizers:
        steps = [s for s in diary.steps if s.watched is watched]
        if len(steps) < 2:
            continue
        for root, model in watched.named.roots.items():
            left = diary.unheld.get(root)
            if not left:
                continue
            every = list(watched.framework.named_parameters(model))
            held = [n for n in every if n not in left]
            before = max(map(every.index, left)) < min((every.index(n) for n in held), default=0)
            if before and len(left) > len(held):
                continue  # a head on features that are used as they are
            yield Finding(
                code="not_in_optimizer",
                message=f"{len(left)} of {len(every)} parameters of {root} get a gradient and are "
                f"in no optimizer: {some(list(left))}",
                where=_text(watched.at),
                parameter=next(iter(left)),
                advice=f"give the optimizer all of them ({root}.parameters()), or set "
                "requires_grad to False on those that are to stay as they are",
                data={"parameters": list(left)},
            )
        yield from _stale(watched, steps, diary)


def _stale(watched: Watched, steps: list[Step], diary: Diary) -> Iterator[Finding]:
    """All that the optimizer holds is without gradient, and a model in reach has gradients."""
    if watched.named.roots or any(any(s.norms.values()) for s in steps):
        return
    name = next((n for n in watched.named.models if n in diary.unheld), None)
    if name is None:
        return
    yield Finding(
        code="stale_optimizer",
        message=f"the optimizer holds {plural(len(watched.named.leaves), 'tensor')} that are not "
        f"part of {name}, and all of {name} gets its gradients in vain",
        where=_text(watched.at),
        advice=f"make the optimizer after {name}: what was made, copied or loaded later has other "
        "parameters",
    )


def _in_eval(session: Session, diary: Diary) -> Iterator[Finding]:
    """The model that is trained runs in eval mode, and has layers for which that matters."""
    roots = {id(m): n for w in session.optimizers for n, m in w.named.roots.items()}
    fed = [f for s in diary.steps for f in s.fed if f.graph and id(f.model) in roots]
    if len(fed) < 2 or any(f.training or not f.sensitive for f in fed):
        return
    yield Finding(
        code="eval_mode",
        message=f"{roots[id(fed[0].model)]} is trained in eval mode: {fed[0].sensitive} does "
        "nothing that it does in train mode",
        where=_text(fed[0].at),
        advice="call model.train() before training; an eval() for a validation stays on until then",
    )


def _variable(step: Step) -> str:
    """What the script calls the optimizer, on the line that steps."""
    code = step.at.code if step.at is not None else ""
    return code.partition(".step(")[0].strip() if ".step(" in code else "optimizer"


def _text(at: object) -> str | None:
    return None if at is None else str(at)
