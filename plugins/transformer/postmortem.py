"""A training step that flattens its logits, as it should be done."""

from __future__ import annotations

from typing import Any

from tinytorch import Tensor


def flattens_logits(model: Any, batch: tuple[Tensor, ...], loss: Any) -> Tensor:
    """Flattens the logits with the Tensor's own reshape. For `loss: cross_entropy`.

    The broken twin, `rebuilds_logits`, goes through `logits.data` and so cuts the graph.
    """
    ids, targets = batch
    logits = model(ids)  # (B, T, vocab)
    return loss(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1))  # (B T, vocab), (B T,)
