"""What a model returns, whatever holds it: one tensor, or a tuple, list, dict or dataclass."""

from __future__ import annotations

import numpy as np

from gradcheck.frameworks.protocol import Array, Output
from gradcheck.frameworks.walk import walk_leaves
from gradcheck.probe.subject import NotJudged, Subject


def is_nested(subject: Subject, output: Output) -> bool:
    """Whether `output` holds tensors and is not one itself."""
    return not subject.is_tensor(output) and bool(_tensors(subject, output))


def prediction(subject: Subject, output: Output) -> Output:
    """The first floating tensor of a nested output that is no single number, such as the loss of a
    model that computes its own (its first tensor where there is none); a tensor as it is.

    Raises NotJudged where there is no tensor."""
    if subject.is_tensor(output):
        return output
    tensors = _tensors(subject, output)
    if not tensors:
        raise NotJudged(f"the model returns {type(output).__name__}, which holds no tensor")
    values = [np.asarray(subject.value(t)) for t in tensors]
    floating = [(t, v) for t, v in zip(tensors, values) if v.dtype.kind == "f"]
    of_many = [t for t, v in floating if v.ndim]
    return next(iter([*of_many, *(t for t, _ in floating), *tensors]))


def all_values(subject: Subject, output: Output) -> Array:
    """The values of every tensor of a nested output, in one flat array; of one tensor, its own."""
    if subject.is_tensor(output):
        return subject.value(output)
    if not is_nested(subject, output):
        raise NotJudged(f"the model returns {type(output).__name__}, which holds no tensor")
    return np.concatenate([subject.value(t).reshape(-1) for t in _tensors(subject, output)])


def _tensors(subject: Subject, output: Output) -> list[Output]:
    return [tensor for _, tensor in walk_leaves(output, subject.tensor_types)]
