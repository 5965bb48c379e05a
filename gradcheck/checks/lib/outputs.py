"""What a model returns, whatever holds it: one tensor, or a tuple, list, dict or dataclass."""

from __future__ import annotations

import numpy as np

from gradcheck.frameworks.protocol import Array, Output
from gradcheck.frameworks.walk import walk_leaves
from gradcheck.probe.subject import Subject


def is_nested(subject: Subject, output: Output) -> bool:
    """Whether `output` holds tensors and is not one itself."""
    return not isinstance(output, _types(subject)) and bool(_tensors(subject, output))


def prediction(subject: Subject, output: Output) -> Output:
    """The first floating tensor of a nested output (its first tensor where none is floating);
    anything else as it is."""
    if not is_nested(subject, output):
        return output
    tensors = _tensors(subject, output)
    floating = (t for t in tensors if np.asarray(subject.value(t)).dtype.kind == "f")
    return next(floating, tensors[0])


def all_values(subject: Subject, output: Output) -> Array:
    """The values of every tensor of a nested output, in one flat array; of one tensor, its own."""
    if not is_nested(subject, output):
        return subject.value(output)
    return np.concatenate([subject.value(t).reshape(-1) for t in _tensors(subject, output)])


def _tensors(subject: Subject, output: Output) -> list[Output]:
    return [tensor for _, tensor in walk_leaves(output, _types(subject))]


def _types(subject: Subject) -> tuple[type, ...]:
    """The framework's tensors: the types of the batch, with their base classes."""
    return tuple({t for leaf in subject.batch for t in type(leaf).__mro__ if t is not object})
