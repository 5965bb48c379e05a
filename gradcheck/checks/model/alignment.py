"""Are the targets of a language model its inputs shifted by one, as the loss sees them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from gradcheck.checks.base import Options
from gradcheck.checks.lib.capture import Seen, class_axis, losses_of
from gradcheck.checks.lib.outputs import prediction
from gradcheck.checks.lib.running import in_eval, inputs_of, needs_data
from gradcheck.checks.lib.words import number, some
from gradcheck.frameworks.protocol import Array
from gradcheck.probe.batches import fields, with_target
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding, Result
from gradcheck.yamlcases.case import Case


class AlignmentOptions(Options):
    """Options of the check `alignment`."""

    shift: int = Field(default=1, description="How far the targets are ahead of the inputs.")
    ignore_index: int | None = Field(
        default=None,
        description="Target that must not count in the loss (default: the loss's own argument).",
    )
    pad: int | None = Field(
        default=None, description="Id of padding: as a target it must not count in the loss."
    )
    last: bool = Field(
        default=True,
        description="Whether the target of the last position is checked: it must not be the first "
        "input again, or the same in all samples.",
    )
    all_positions: bool = Field(
        default=True, description="Every position that has a target must count in the loss."
    )


class Alignment:
    """At every position the target is the next input; padding does not count in the loss.

    Looked at where it matters, in what the step hands to the loss: so a shift done twice, once by
    the data set and once by the step, is seen.
    """

    name = "alignment"
    Options = AlignmentOptions

    def applies(self, case: Case) -> str | None:
        if case.model is not None and case.loss is None:
            return "the case has no loss"
        return needs_data(case)

    def run(self, subject: Subject, options: AlignmentOptions) -> Result:
        run = in_eval(subject)
        seen = losses_of(run)
        findings: list[Finding] = []
        shares: dict[int, float] = {}
        inputs = inputs_of(run)[0]
        reason = None
        if inputs.dtype.kind not in "iu" or inputs.ndim != 2:
            reason = f"expected a batch of token ids (B, T), got an input of shape {inputs.shape}"
        elif not seen:
            reason = "the step computes its loss without the case's loss"
        else:
            shares = _shares(run, inputs, seen[0])
            if not shares:
                reason = "the targets cannot be matched with positions of the model's output"
            else:
                findings.extend(shifted(shares, options.shift))
                if not findings and options.last and shares.get(1, 0.0) >= 0.9:
                    findings.extend(_last(run, inputs, seen[0], options))
                if not findings and options.all_positions and len(seen) == 1:
                    findings.extend(_left_out(run, inputs, seen[0], options))
                if not findings and max(shares.values()) < 0.9:
                    reason = "the targets are not the inputs at any shift: not a language model"
        if seen:
            findings.extend(_ignored(run, seen[0], options))
        ignoring = bool(_ids_to_ignore(run, options))
        if reason is not None and not findings and not ignoring:
            return Result.skipped(reason)
        return Result(
            findings=tuple(findings),
            measurements={"match_by_shift": {str(s): v for s, v in shares.items()}},
        )


def _shares(run: Subject, inputs: Array, seen: Seen) -> dict[int, float]:
    """For each shift s: the share of positions t whose target is input t + s."""
    places = _positions(run, inputs, seen)
    if places is None:
        return {}
    ids = seen.ids.reshape(-1)
    rows, times = places
    known = rows >= 0
    shares = {}
    for shift in range(-4, 9):
        at = times + shift
        inside = known & (at >= 0) & (at < inputs.shape[1]) & (ids >= 0)
        if inside.sum() >= 2:
            shares[shift] = float(np.mean(inputs[rows[inside], at[inside]] == ids[inside]))
    return shares


def _positions(run: Subject, inputs: Array, seen: Seen) -> tuple[Array, Array] | None:
    """(sample, time) of every row of outputs that the loss saw, by finding it among the model's.

    A step may cut, reshape or shift the outputs: the values tell which are which.
    """
    full = run.value(prediction(run, run.predict()))
    axis = class_axis(seen.values, seen.ids)
    if full.ndim != 3 or axis is None:
        return None
    if full.shape[:2] != inputs.shape and (full.shape[0], full.shape[2]) == inputs.shape:
        full = np.moveaxis(full, 1, -1)  # classes on axis 1
    if full.shape[:2] != inputs.shape:
        return None
    theirs = np.moveaxis(seen.values, axis, -1).reshape(-1, seen.values.shape[axis])
    mine = full.reshape(-1, full.shape[-1])
    if mine.shape[-1] != theirs.shape[-1]:
        return None
    length = inputs.shape[1]
    index = _slice_of(full, theirs)
    if index is None:
        # Rows repeat where nothing tells positions apart; the order within a sample still does.
        rounded: dict[bytes, list[int]] = {}
        for i, row in enumerate(np.round(mine, 9)):
            rounded.setdefault((row + 0.0).tobytes(), []).append(i)
        matches = [rounded.get((row + 0.0).tobytes()) for row in np.round(theirs, 9)]
        if any(m is None or len(m) != 1 for m in matches):
            return None
        index = np.array([m[0] for m in matches if m is not None])
    return index // length, index % length


def _slice_of(full: Array, rows: Array) -> Array | None:
    """Indices of rows that are the same stretch of time of every sample, in order."""
    samples, length, width = full.shape
    if len(rows) % samples:
        return None
    count = len(rows) // samples
    for start in range(length - count + 1):
        if np.allclose(full[:, start : start + count].reshape(-1, width), rows):
            times = np.arange(start, start + count)
            return (np.arange(samples)[:, None] * length + times).reshape(-1)
    return None


def shifted(shares: dict[int, float], wanted: int) -> Iterator[Finding]:
    """shares: for each shift s, the share of targets that equal the input s later."""
    best = max(shares, key=lambda s: (shares[s], s == wanted))
    if shares[best] < 0.9 or shares.get(wanted, 0.0) >= 0.9 or best == wanted:
        return
    what = {
        0: "the targets are the inputs themselves: the model only has to copy",
        wanted + 1: f"the targets are shifted once too often: {best} ahead instead of {wanted}",
    }.get(best, f"the targets are {best} ahead of the inputs instead of {wanted}")
    yield Finding(
        code="misaligned",
        message=f"{what} ({100 * shares[best]:.0f}% of the targets equal the input {best} later, "
        f"{100 * shares.get(wanted, 0.0):.0f}% the input {wanted} later)",
        advice="shift once: either in the data set (x = ids[:-1], y = ids[1:]), or in the step "
        "(logits[:, :-1], ids[:, 1:]), not in both",
        data={"shift": best},
    )


CHANCE = 1e-5
"""Probability below which last targets are not alike by chance."""


def _last(run: Subject, inputs: Array, seen: Seen, options: AlignmentOptions) -> Iterator[Finding]:
    """The target of the last position lies outside the inputs: is it made up?"""
    places = _positions(run, inputs, seen)
    if places is None or options.shift != 1:
        return
    rows, times = places
    at_end = (times == inputs.shape[1] - 1) & (rows >= 0)
    ids = seen.ids.reshape(-1)
    at_end &= (ids >= 0) & ~np.isin(ids, sorted(_ids_to_ignore(run, options)))
    targets, samples = ids[at_end], inputs[rows[at_end]]
    if len({row.tobytes() for row in samples}) < 4 or _periodic(samples):
        return
    known, counts = np.unique(inputs, return_counts=True)
    share = counts / inputs.size
    first = samples[:, 0]
    distinct = len(np.unique(first))
    code = "last_target"
    # as if the first inputs of different samples were drawn like the others
    if distinct > 1 and np.array_equal(targets, first):
        if float(np.sum(share**2)) ** len(targets) < CHANCE:
            yield Finding(
                code=code,
                message=f"the target of the last position is the first input again in all "
                f"{len(targets)} samples: the targets wrap around",
                advice="take the targets from one more token (x = ids[:-1], y = ids[1:]); np.roll "
                "brings the first to the end. If the sequences really repeat, set `last: false`",
            )
    elif len(np.unique(targets)) == 1 and len(np.unique(samples[:, 1:-1])) > 1:
        # an end token closes every sequence and never occurs within one
        within = float(np.sum(share[known == targets[0]])) if targets[0] in samples[:, 1:] else 0.0
        if within > 0.0 and within ** len(targets) < CHANCE:
            yield Finding(
                code=code,
                message=f"the target of the last position is {int(targets[0])} in all "
                f"{len(targets)} samples, an id that also occurs within the inputs",
                advice="take the targets from one more token (x = ids[:-1], y = ids[1:]), or mark "
                "the last target as one to ignore. If every sequence ends so, set `last: false`",
            )


def _left_out(
    run: Subject, inputs: Array, seen: Seen, options: AlignmentOptions
) -> Iterator[Finding]:
    """Times that never count in the loss though the data have a target for them."""
    places = _positions(run, inputs, seen)
    targets = fields(run.to_arrays(run.batch))[-1]
    length, shift = inputs.shape[1], options.shift
    if places is None or targets.shape != inputs.shape or not 0 < shift < length:
        return
    own = np.mean(targets[:, :-shift] == inputs[:, shift:]) >= 0.9  # shifted by the data
    if not own and np.mean(targets == inputs) < 0.9:
        return
    own = own and _uses_targets(run, seen)
    times = range(length if own else length - shift)
    counted = np.zeros(inputs.shape, dtype=bool)
    counted[places] = _counts(run, seen)
    known = ~np.isin(targets, sorted(_ids_to_ignore(run, options))) & (targets >= 0)
    left = [t for t in times if known[:, t].any() and not counted[:, t].any()]
    if not left or len(left) == len(times):
        return
    yield Finding(
        code="positions_left_out",
        message=f"{len(left)} of {length} positions never count in the loss: "
        f"{some([str(t) for t in left])}",
        where=seen.where,
        index=(left[0],),
        advice="give the loss the outputs and targets of all positions; where a part is left out "
        "on purpose, mark its targets as ones to ignore, or set `all_positions: false`",
        data={"positions": left},
    )


def _uses_targets(run: Subject, seen: Seen) -> bool:
    """Whether the step gives the data's targets to the loss, not the inputs shifted by itself."""
    batch = run.batch
    arrays = run.to_arrays(batch)
    run.batch = run.to_leaves(with_target(arrays, np.flip(fields(arrays)[-1], 0).copy()))
    again = losses_of(run)
    run.batch = batch
    return bool(again) and not np.array_equal(again[0].ids, seen.ids)


def _counts(run: Subject, seen: Seen) -> Array:
    """For each row of outputs that the loss sees, whether the loss has a gradient there."""
    axis = class_axis(seen.values, seen.ids)
    assert axis is not None  # `_positions` has found the rows
    output = run.framework.leaf(seen.values, trainable=True, dtype=run.dtype)
    run.backward(run.loss(output, seen.target))
    grad = run.framework.grad(output)
    values = np.zeros_like(seen.values) if grad is None else grad
    return np.any(np.moveaxis(values, axis, -1).reshape(-1, values.shape[axis]) != 0, axis=-1)


def _periodic(samples: Array) -> bool:
    """Whether the sequences repeat within their length, so that the first input comes again."""
    length = samples.shape[1]
    return any(np.array_equal(samples[:, p:], samples[:, :-p]) for p in range(1, length // 2 + 1))


def _ids_to_ignore(run: Subject, options: AlignmentOptions) -> set[int]:
    ids = (options.ignore_index, options.pad, run.loss_args.get("ignore_index"))
    return {i for i in ids if isinstance(i, int)}


def _ignored(run: Subject, seen: Seen, options: AlignmentOptions) -> Iterator[Finding]:
    """Outputs at positions with a target to ignore: changing them must not change the loss."""
    axis = class_axis(seen.values, seen.ids)
    if axis is None or seen.ids.size < 2:
        return
    rng = np.random.default_rng(run.seed)
    for ignored in sorted(_ids_to_ignore(run, options)):
        ids = seen.ids.copy()
        masked = ids == ignored
        if not masked.any():  # none in this batch: put some there
            masked.reshape(-1)[::3] = True
            ids[masked] = ignored
        if masked.all():
            continue
        moved = np.moveaxis(seen.values.copy(), axis, -1)
        moved[masked] += rng.standard_normal(moved[masked].shape)
        changed = np.moveaxis(moved, -1, axis)
        target = run.to_leaves((ids,))[0]
        values = [
            float(np.asarray(run.value(run.loss(run.to_leaves((v,))[0], target))).reshape(-1)[0])
            for v in (seen.values, changed)
        ]
        difference = abs(values[0] - values[1])
        if difference > 1e-9 * max(1.0, abs(values[0])):
            yield Finding(
                code="padding_counts",
                message=f"positions whose target is {ignored} count in the loss: changing the "
                f"outputs there changes it by {number(difference)}",
                advice=f"give the loss ignore_index={ignored}, or leave these positions out of the "
                "mean",
                data={"id": ignored},
            )
