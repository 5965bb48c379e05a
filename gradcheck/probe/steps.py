"""The steps that need no writing: the default one, and that of a model with its own loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradcheck.frameworks.protocol import Output
from gradcheck.probe.batches import divided
from gradcheck.probe.modelcall import ModelCall


def default_step(model: Any, batch: Any, loss: Any) -> Output:
    """loss(model(inputs), target); a batch whose fields have names is passed by them."""
    call = ModelCall.of_default_step(batch)
    target = divided(batch)[1] if isinstance(batch, Mapping) else batch[-1]
    return loss(call.run(model), target)


def own_loss(model: Any, batch: Any, loss: Any) -> Output:
    """For a model that gets the target too and returns its loss: alone, as `output.loss`, under
    'loss' in a dict, or at the start of a tuple. A step like any other."""
    return model(**batch) if isinstance(batch, Mapping) else model(*batch)
