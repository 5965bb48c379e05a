"""What is odd about the samples of a data set: copies, constant features, scale, sorted classes.

Little of it is surely wrong, so most are notes; findings are for degrees that no training bears.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from gradcheck.checks.lib.words import number, plural, some
from gradcheck.frameworks.protocol import Array
from gradcheck.probe.batches import Batch
from gradcheck.result import Finding

COPIES = 0.05
"""Share of the samples that are copies of others from which on a note says so."""
CONSTANT = 0.9
"""Share of constant features that is a finding; fewer are a note."""
LARGE, HUGE = 30.0, 1e3
"""Sizes of float features (root mean square) that are a note, and a finding."""
SHIFTED, FAR = 10.0, 100.0
"""Means, in standard deviations, that are a note, and a finding."""
FEW = 8
"""Samples below which nothing is said."""


def data_statistics(
    samples: Sequence[Batch], keys: Sequence[bytes]
) -> tuple[list[Finding], list[str]]:
    """(findings, notes) about all samples of a data set. keys: one for each, equal for copies."""
    findings: list[Finding] = []
    notes: list[str] = []
    if len(samples) < FEW:
        return findings, notes
    copies = len(keys) - len(set(keys))
    if copies >= COPIES * len(keys):
        notes.append(f"{copies} of {len(keys)} samples are copies of others")
    for which in range(len(samples[0]) - 1):
        arrays = [np.asarray(s[which]) for s in samples]
        if arrays[0].dtype.kind != "f" or len({a.shape for a in arrays}) > 1:
            continue
        table = np.stack(arrays).reshape(len(arrays), -1).astype(np.float64)
        if table.shape[1] and np.isfinite(table).all():
            _constant(table, which, findings, notes)
            _scale(table, which, findings, notes)
    return findings, notes


def _constant(table: Array, which: int, findings: list[Finding], notes: list[str]) -> None:
    still = np.flatnonzero(np.ptp(table, axis=0) == 0)
    features = table.shape[1]
    if not len(still):
        return
    said = (
        f"{plural(len(still), 'feature')} of {features} of input {which} "
        f"{'is' if len(still) == 1 else 'are'} the same in all {len(table)} samples: "
        f"{some([str(i) for i in still])}"
    )
    if features >= FEW and CONSTANT * features <= len(still) < features:
        findings.append(
            Finding(
                code="constant_features",
                message=said,
                advice="look at how the features are read and scaled: a column that is read again "
                "and again, a division that makes integers, a fill value",
                data={"features": still[:100].tolist()},
            )
        )
    else:
        notes.append(said)


def _scale(table: Array, which: int, findings: list[Finding], notes: list[str]) -> None:
    size = float(np.sqrt(np.mean(table**2)))
    mean, spread = float(np.mean(table)), float(np.std(table))
    shifted = abs(mean) / spread if spread else 0.0
    if size <= LARGE and shifted <= SHIFTED:
        return
    said = (
        f"input {which} is not normalised: its features have a mean of {number(mean)} and a "
        f"standard deviation of {number(spread)}"
    )
    if size > HUGE or shifted > FAR:
        findings.append(
            Finding(
                code="unnormalised",
                message=said,
                advice="subtract the mean of the training data and divide by its standard "
                "deviation, or put a norm layer first and set `statistics: false`",
            )
        )
    else:
        notes.append(said)


def sorted_classes(epoch: Sequence[Batch], batch: int) -> Finding | None:
    """An epoch that goes through the classes one after the other, batch by batch."""
    labels = [np.asarray(s[-1]) for s in epoch]
    if len(labels) < 3 * batch or batch < 2 or labels[0].shape or labels[0].dtype.kind not in "iub":
        return None
    row = [int(label) for label in labels]
    classes = len(set(row))
    changes = sum(a != b for a, b in pairwise(row))
    if not 2 <= classes <= len(row) // batch or changes != classes - 1:
        return None
    return Finding(
        code="sorted_classes",
        message=f"the samples come sorted by class ({classes} classes, {len(row)} samples) and are "
        f"not shuffled: nearly every batch of {batch} has one class only",
        advice="set `shuffle: true` in `data:`, or shuffle the data set once",
    )
