"""Initial values of a transformer: scaled to the width of what each layer reads, or as in GPT-2."""

from __future__ import annotations

import math

from tinytorch import nn
from tinytorch.nn import init

KINDS = ("scaled", "gpt2")
STD = 0.02
"""GPT-2's standard deviation of every weight."""


def init_transformer(model: nn.Module, branches: int, kind: str = "scaled") -> None:
    """Weights normal with mean 0, biases 0, norms 1 and 0, in the order of `named_parameters`.

    'gpt2': deviation 0.02 everywhere. 'scaled': 1/√(inputs) in the layers and 1 in embeddings and
    positions, so that signals keep their size from the first step on and high learning rates work;
    the output layer stays at 0.02, so that the first loss is near ln(classes).

    branches: how many residual branches are added up; the layers that end one (`proj`, `down`) are
    narrower by √branches.
    """
    if kind not in KINDS:
        raise ValueError(f"init is {kind!r}; it must be one of {', '.join(KINDS)}")
    head = getattr(getattr(model, "head", None), "weight", None)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            init.zeros_(parameter)
            continue
        if "norm" in name:
            init.ones_(parameter)
            continue
        std = STD
        if kind == "scaled" and parameter is not head:  # a tied embedding is the head as well
            embeds = name.startswith(("token_embedding", "positions"))
            std = 1.0 if embeds else 1 / math.sqrt(parameter.shape[1])
        if name.endswith(("proj.weight", "down.weight")):
            std /= math.sqrt(branches)
        init.normal_(parameter, 0.0, std)
