"""What comes in: targets against inputs, the first loss against chance, batches and labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gradcheck.checks.lib.capture import Seen, class_axis, log_softmax, picked
from gradcheck.checks.model.alignment import shifted
from gradcheck.checks.model.first_loss import softmax_twice, wrong_size
from gradcheck.frameworks.protocol import Array
from gradcheck.result import Finding
from gradcheck.watch.look import Called, Diary, Fed, Step
from gradcheck.watch.session import Session

ABOVE, BELOW = 0.4, 0.4
"""How far the first loss may be from ln(classes), as in the check `init`."""
FEW = 8
"""A batch of fewer samples says nothing about labels."""


def of_data(session: Session, diary: Diary, notes: list[str]) -> Iterator[Finding]:
    """Findings; what may be meant so becomes a note."""
    calls = [c for b in diary.backwards for c in b.calls if c.name in ("cross_entropy", "nll_loss")]
    fed = [f for f in diary.fed if f.graph]
    yield from _misaligned(diary.steps)
    if calls:
        yield from first_loss(calls[0], notes)
        yield from _labels(calls)
    yield from _inputs(fed)
    yield from _same_batch(diary, fed, notes)


# --- language models ------------------------------------------------------------------------------


def _misaligned(steps: Sequence[Step]) -> Iterator[Finding]:
    """Targets that are the input ids at another shift than one."""
    shares: dict[int, list[float]] = {}
    at = None
    for step in steps:
        pair = text_of_step(step)
        if pair is None:
            return
        ids, call = pair
        at = call.at
        for shift, share in shares_of(ids, call.target).items():
            shares.setdefault(shift, []).append(share)
    if not shares or at is None:
        return
    for finding in shifted({s: min(values) for s, values in shares.items()}, 1):
        yield _at(finding, at)


def text_of_step(step: Step) -> tuple[Array, Called] | None:
    """The ids (batch, time) that went into the model, and the call of the loss; None where one of
    them is no text."""
    fed = [f for f in step.fed if f.graph]
    calls = [c for b in step.backwards for c in b.calls if c.name in ("cross_entropy", "nll_loss")]
    if not fed or not calls:
        return None
    ids = next((a for a in fed[-1].arrays if a.dtype.kind in "iu" and a.ndim == 2), None)
    if ids is None or ids.shape[1] < 4 or calls[-1].target.dtype.kind not in "iu":
        return None
    return ids, calls[-1]


def shares_of(ids: Array, target: Array) -> dict[int, float]:
    """For each shift s: the share of targets t that are the input t + s. ids: (B, T); target: one
    for each position, or for each but the last, flat or not; negative ones are ignored."""
    samples, length = ids.shape
    if target.size % samples or target.size // samples not in (length, length - 1):
        return {}
    rows = target.reshape(samples, -1)
    found = {}
    for shift in range(-3, 5):
        times = np.arange(rows.shape[1])
        times = times[(times + shift >= 0) & (times + shift < length)]
        mine, theirs = rows[:, times], ids[:, times + shift]
        known = mine >= 0
        if known.sum() >= 2 * FEW:
            found[shift] = float(np.mean(mine[known] == theirs[known]))
    return found


# --- classifiers ----------------------------------------------------------------------------------


def first_loss(call: Called, notes: list[str]) -> Iterator[Finding]:
    """The first loss is a plain mean cross-entropy: is it what chance gives?"""
    axis = class_axis(call.output, call.target)
    if axis is None or call.name != "cross_entropy" or not np.isfinite(call.value):
        return
    ids = np.where(call.target == call.options.get("ignore_index", -100), -1, call.target)
    chosen = picked(log_softmax(call.output, axis), ids, axis)
    if not chosen.size or abs(float(np.mean(chosen)) + call.value) > 1e-3 * abs(call.value):
        return  # weighted, smoothed or summed
    where = None if call.at is None else str(call.at)
    seen = Seen(None, None, call.output, ids, call.value, where)
    twice = list(softmax_twice(seen, axis))
    for finding in twice or wrong_size(seen, axis, call.output.shape[axis], ABOVE, BELOW):
        if finding.code == "first_loss_low":
            notes.append(finding.message.replace("before any training", "at the first step"))
        else:
            yield _at(finding, call.at)


def _labels(calls: Sequence[Called]) -> Iterator[Finding]:
    """Batches of one class each, and one class in all batches."""
    targets = [c.target for c in calls if c.target.dtype.kind in "iu" and c.target.ndim == 1]
    targets = [t[t >= 0] for t in targets]
    if len(targets) < 4 or any(t.size < FEW for t in targets):
        return
    kinds = [np.unique(t) for t in targets]
    if any(len(k) > 1 for k in kinds):
        return
    several = len({int(k[0]) for k in kinds}) > 1
    what = (
        f"each of the first {len(kinds)} batches holds a single class: the samples come sorted"
        if several
        else f"all labels of the first {len(kinds)} batches are {int(kinds[0][0])}"
    )
    yield Finding(
        code="not_shuffled" if several else "one_label",
        message=what,
        where=None if calls[0].at is None else str(calls[0].at),
        advice="shuffle the samples once an epoch, inputs and labels alike; if they are shuffled, "
        "check the column that the labels are read from",
    )


# --- batches --------------------------------------------------------------------------------------


def _inputs(fed: Sequence[Fed]) -> Iterator[Finding]:
    """Inputs with NaN, and batches of one sample over and over."""
    for one in fed:
        for array in one.arrays:
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                bad = int(np.sum(~np.isfinite(array)))
                yield Finding(
                    code="not_finite",
                    message=f"{bad} of {array.size} numbers that go into the model are not finite",
                    where=None if one.at is None else str(one.at),
                    advice="look for missing values, and for a feature without spread that is "
                    "divided by its standard deviation",
                )
                return
    first = [f.arrays[0] for f in fed if f.arrays and f.arrays[0].ndim >= 2]
    if len(first) >= 4 and all(
        len(a) >= FEW and a[0].size >= 2 and np.all(a == a[:1]) for a in first
    ):
        yield Finding(
            code="one_sample",
            message=f"all {len(first[0])} samples of a batch are the same, in every batch",
            where=None if fed[0].at is None else str(fed[0].at),
            advice="check that the data set uses its index",
        )


def _same_batch(diary: Diary, fed: Sequence[Fed], notes: list[str]) -> Iterator[Finding]:
    """The same inputs at every step: full-batch training, or a loader that is started again."""
    seen = [[a.tobytes() for a in f.arrays] for f in fed if f.arrays]
    if len(seen) < 4 or any(s != seen[0] for s in seen):
        return
    for key, starts in diary.starts.items():
        if len(starts) >= 3 and not any(starts) and _length(diary.loaders[key]) > 1:
            yield Finding(
                code="first_batch_again",
                message=f"every step gets the first of the {_length(diary.loaders[key])} batches "
                "of the loader: it is started again for each",
                where=None if fed[0].at is None else str(fed[0].at),
                advice="make the iterator once, before the loop over steps, and take next() of it",
            )
            return
    count = len(fed[0].arrays[0]) if fed[0].arrays[0].ndim else 1
    notes.append(
        f"every step got the same batch of {count}: full-batch training, or one by mistake"
    )


def _length(loader: object) -> int:
    try:
        return len(loader)  # type: ignore[arg-type]
    except TypeError:  # a loader over a stream
        return 0


def _at(finding: Finding, at: object) -> Finding:
    import dataclasses

    return dataclasses.replace(finding, where=None if at is None else str(at))
