"""A training step that splits its batch over two threads: numpy computes without the GIL.

    step: split_over_threads

The BLAS library is held to one thread meanwhile (with `threadpoolctl`, where it is installed): two
halves side by side are faster than one product after the other on two threads. The number of parts
is fixed, so the sums, and with them the numbers of a run, do not depend on the machine.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from tinytorch import Tensor

PARTS = 2


def step(model: Any, batch: tuple[Tensor, ...], loss: Any) -> Tensor:
    """loss(model(inputs), target): what the halves are parts of."""
    return loss(model(*batch[:-1]), batch[-1])


def train(model: Any, batch: tuple[Tensor, ...], loss: Any, optimizer: Any) -> Tensor:
    """One update; the loss before it. The loss must be a mean over the samples of the batch.

    A batch that cannot be split, and a model with dropout (its masks come from one generator), are
    taken whole.
    """
    optimizer.zero_grad()
    if len(batch[0]) < PARTS or _drops(model):
        whole = step(model, batch, loss)
        whole.backward()
        optimizer.step()
        return whole
    twin = _twin(model)
    _share(model, twin)
    size = len(batch[0])
    border = size // PARTS
    parts = [
        (model, tuple(Tensor(t._data[:border]) for t in batch), border / size),
        (twin, tuple(Tensor(t._data[border:]) for t in batch), 1 - border / size),
    ]
    with _one_blas_thread():
        other = _pool().submit(_gradients, *parts[1], loss)
        try:
            mine = _gradients(*parts[0], loss)
        finally:
            theirs = other.result()
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        if q.grad is not None:
            p.grad = q.grad if p.grad is None else np.add(p.grad, q.grad, out=p.grad)
    optimizer.step()
    return Tensor(np.asarray(mine + theirs))


def _gradients(model: Any, batch: tuple[Tensor, ...], share: float, loss: Any) -> Any:
    """This part's share of the loss; its gradients are left in the model."""
    value = step(model, batch, loss)
    value.backward(np.asarray(share, value.dtype))
    return value._data * value.dtype.type(share)


_twins: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def _twin(model: Any) -> Any:
    """A copy of the model for the second thread, made once."""
    if model not in _twins:
        _twins[model] = copy.deepcopy(model)
    return _twins[model]


def _share(model: Any, twin: Any) -> None:
    """The arrays of `model` in `twin`, without gradients."""
    for p, q in zip(_leaves(model), _leaves(twin), strict=True):
        q._data, q.grad, q.requires_grad = p._data, None, p.requires_grad
    twin.train(model.training)


def _leaves(model: Any) -> Iterator[Tensor]:
    yield from model.parameters()
    yield from model.buffers()


def _drops(model: Any) -> bool:
    """Whether anything is dropped now. `p` is nn.Dropout's, `dropout` the attention's."""
    return model.training and any(
        isinstance(p := getattr(m, name, None), float) and p > 0
        for m in model.modules()
        for name in ("p", "dropout")
    )


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(PARTS - 1, thread_name_prefix="split_over_threads")


@lru_cache(maxsize=1)
def _controller() -> Any:
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController()


def _one_blas_thread() -> AbstractContextManager[Any]:
    controller = _controller()
    return nullcontext() if controller is None else controller.limit(limits=1, user_api="blas")
