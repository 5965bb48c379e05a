"""Does the data loader give every sample once, each with its own label, in an order of the seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from pydantic import Field

from gradcheck.checks.base import Options
from gradcheck.checks.lib.running import needs_data
from gradcheck.checks.lib.words import plural
from gradcheck.checks.model.data_statistics import data_statistics, sorted_classes
from gradcheck.frameworks.protocol import Array
from gradcheck.probe.batches import Batch, fields
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding, Result
from gradcheck.yamlcases.case import Case

Key = bytes


class LoaderOptions(Options):
    """Options of the check `loader`."""

    limit: int = Field(
        default=20_000, ge=1, description="Samples looked at; larger data are checked in part."
    )
    statistics: bool = Field(
        default=True,
        description="Look at the samples too: copies, constant features, scale, sorted classes.",
    )


class LoaderCheck:
    """Every sample once an epoch, inputs and labels paired, shuffled, repeatable by seed.

    A last batch that is not full may be left out. Samples are recognized by their bytes.
    """

    name = "loader"
    Options = LoaderOptions

    def applies(self, case: Case) -> str | None:
        return needs_data(case)

    def run(self, subject: Subject, options: LoaderOptions) -> Result:
        loader = subject.fresh().loader()
        dataset = loader.dataset
        whole = len(dataset) <= options.limit
        epochs = [_epoch(loader, options.limit) for _ in range(2)]
        size = f"{len(dataset)} samples"
        if not epochs[0]:
            return Result(findings=(_empty("the loader yields no batch"),))
        if not epochs[1]:
            return Result(findings=(_empty("the loader yields no batch in its second epoch"),))
        findings = list(_not_finite(epochs[0]))
        notes: list[str] = []
        keys = [[_pair(s) for s in epoch] for epoch in epochs]
        if whole:
            samples = [_sample(dataset[i]) for i in range(len(dataset))]
            again = _sample(dataset[0])
            if _pair(again) != _pair(samples[0]):
                notes.append("samples are random: completeness and pairing were not checked")
            else:
                findings.extend(_all_alike(samples))
                findings.extend(_pairs(samples, epochs[0]))
                if not findings:
                    findings.extend(_complete(samples, keys[0], loader.batch_size))
                if not findings and subject.batching.shuffle and keys[0] != keys[1]:
                    findings.extend(_never_drawn(samples, keys, loader, options.limit))
                if not findings and options.statistics:
                    odd, said = data_statistics(samples, [_pair(s) for s in samples])
                    findings.extend(odd)
                    notes.extend(said)
        else:
            notes.append(f"{size}: only the first {options.limit} of an epoch were checked")
        findings.extend(_order(subject, subject.batching.shuffle, keys, options.limit))
        if not findings and options.statistics and not subject.batching.shuffle:
            one_by_one = sorted_classes(epochs[0], loader.batch_size)
            findings.extend([one_by_one] if one_by_one else [])
        return Result(
            findings=tuple(findings),
            measurements={"samples": len(dataset), "seen": len(keys[0])},
            notes=tuple(notes),
        )


def _empty(message: str) -> Finding:
    return Finding(
        code="no_batch",
        message=message,
        advice="return an object that can be iterated repeatedly, not a generator that is used up",
    )


def _epoch(loader: Any, limit: int) -> list[Batch]:
    """The samples of one epoch, in order."""
    samples: list[Batch] = []
    for batch in loader:
        samples.extend(zip(*fields(batch)))
        if len(samples) >= limit:
            break
    return samples


def _sample(sample: Any) -> Batch:
    return tuple(fields(sample))


def _key(array: Array) -> Key:
    """The bytes of a value, as float64 or int64: a loader may change the width."""
    array = np.asarray(array)
    return np.ascontiguousarray(array.astype("f8" if array.dtype.kind == "f" else "i8")).tobytes()


def _pair(sample: Sequence[Array]) -> Key:
    return b"|".join(_key(np.asarray(v, dtype=_narrow(v))) for v in sample)


def _narrow(value: Any) -> Any:
    return np.float32 if np.asarray(value).dtype.kind == "f" else np.int64


def _inputs(sample: Sequence[Array]) -> Key:
    return _pair(sample[:-1])


def _not_finite(epoch: Sequence[Batch]) -> Iterator[Finding]:
    """Samples with NaN or infinity in them."""
    bad = [
        i
        for i, sample in enumerate(epoch)
        if any(np.asarray(v).dtype.kind == "f" and not np.isfinite(v).all() for v in sample)
    ]
    if bad:
        yield Finding(
            code="not_finite",
            message=f"{len(bad)} of {len(epoch)} samples have entries that are not finite, the "
            f"first at position {bad[0]} of the epoch",
            index=(bad[0],),
            advice="look for missing values, and for a feature without spread that is divided by "
            "its standard deviation",
        )


def _all_alike(samples: Sequence[Batch]) -> Iterator[Finding]:
    """A data set of one sample, or of one label."""
    if len(samples) < 8:
        return
    for code, what, kinds in (
        ("one_sample", "inputs", {_inputs(s) for s in samples}),
        ("one_label", "labels", {_pair(s[-1:]) for s in samples}),
    ):
        if len(kinds) == 1:
            yield Finding(
                code=code,
                message=f"all {len(samples)} {what} of the data set are the same",
                advice="check that __getitem__ uses its index, and that labels are read from the "
                "right column and not overwritten",
            )
            return


def _pairs(samples: Sequence[Batch], epoch: Sequence[Batch]) -> Iterator[Finding]:
    """The label that comes with an input is one that the data set has for it."""
    labels: dict[Key, set[Key]] = {}
    for sample in samples:
        labels.setdefault(_inputs(sample), set()).add(_pair(sample[-1:]))
    wrong = [
        i
        for i, sample in enumerate(epoch)
        if _inputs(sample) in labels and _pair(sample[-1:]) not in labels[_inputs(sample)]
    ]
    foreign = sum(_inputs(sample) not in labels for sample in epoch)
    if wrong:
        yield Finding(
            code="unpaired",
            message=f"{len(wrong)} of {len(epoch)} samples come with the wrong label, "
            f"the first at position {wrong[0]}",
            index=(wrong[0],),
            advice="shuffle inputs and labels by the same permutation",
        )
    elif foreign > len(epoch) // 2:
        yield Finding(
            code="unknown_samples",
            message=f"{foreign} of {len(epoch)} inputs of the loader are not in the data set",
            advice="the loader must yield the data set's own samples",
        )


def _complete(samples: Sequence[Batch], seen: Sequence[Key], batch: int) -> Iterator[Finding]:
    have, want = Counter(seen), Counter(_pair(s) for s in samples)
    repeated = sum((have - want).values())
    missing = sum((want - have).values())
    if repeated:
        yield Finding(
            code="sample_repeated",
            message=f"{plural(repeated, 'sample')} of {len(samples)} came more than once in an "
            f"epoch, {missing} not at all",
            advice="draw a permutation of the samples, not random indices with replacement",
        )
    elif missing >= batch:
        yield Finding(
            code="sample_missing",
            message=f"{plural(missing, 'sample')} of {len(samples)} never came in an epoch; only a "
            f"last batch of fewer than {batch} may be left out",
            advice="look at the range of the loop over batches and at the slices",
        )
    elif missing and len(seen) % batch:
        yield Finding(
            code="sample_missing",
            message=f"{plural(missing, 'sample')} of {len(samples)} never came in an epoch, though "
            f"its last batch of {len(seen) % batch} did come",
            advice="look at the range of the permutation and at the slices",
        )


CHANCE = 1e-6
"""Probability below which a sample is not left out of every epoch by chance."""
MOST_EPOCHS = 40
"""Epochs after which it stays open whether a sample is ever drawn."""


def _never_drawn(
    samples: Sequence[Batch], keys: Sequence[Sequence[Key]], loader: Any, limit: int
) -> Iterator[Finding]:
    """A short last batch that is left out holds other samples in each shuffled epoch."""
    want = Counter(_pair(s) for s in samples)
    absent = want - Counter(keys[0])
    chance = len(samples) * sum(absent.values()) / len(samples)
    for number in range(1, MOST_EPOCHS):
        if not absent:
            return
        seen = keys[1] if number == 1 else [_pair(s) for s in _epoch(loader, limit)]
        missing = want - Counter(seen)
        absent &= missing
        chance *= sum(missing.values()) / len(samples)
        if absent and chance < CHANCE:
            yield Finding(
                code="sample_missing",
                message=f"{plural(sum(absent.values()), 'sample')} of {len(samples)} never came in "
                f"{number + 1} epochs, each shuffled again",
                advice="look at the range of the permutation: it may leave out the first or the "
                "last sample",
            )
            return


def _order(
    subject: Subject, shuffle: bool, keys: Sequence[Sequence[Key]], limit: int
) -> Iterator[Finding]:
    first, second = keys
    repeat = [_pair(s) for s in _epoch(subject.fresh().loader(), limit)]
    if repeat != list(first):
        yield Finding(
            code="seed_not_repeated",
            message="the same seed gives a different order of the samples the second time",
            advice="make the generator of the order from the seed when the loader is made",
        )
        return
    if not shuffle or len(set(first)) < 8:
        return
    dataset = subject.fresh().loader().dataset
    plain = [_pair(_sample(dataset[i])) for i in range(min(len(first), len(dataset)))]
    other = [_pair(s) for s in _epoch(subject.fresh(seed=subject.seed + 1).loader(), limit)]
    if list(first) == plain:
        yield Finding(
            code="not_shuffled",
            message="`shuffle` is on, but the samples come in the order of the data set",
            advice="shuffle the indices again at the start of each epoch, or set `shuffle: false`",
        )
    elif list(first) == list(second):
        yield Finding(
            code="same_order",
            message="every epoch has the same order of the samples",
            advice="draw a new permutation at the start of each epoch",
        )
    elif other == list(first):
        yield Finding(
            code="seed_ignored",
            message="another seed gives the same order of the samples",
            advice="make the generator of the order from the seed that the loader is given",
        )
