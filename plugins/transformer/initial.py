"""Initial values as in GPT-2: normal with deviation 0.02, narrower where residuals add up."""

from __future__ import annotations

import math

from tinytorch import nn
from tinytorch.nn import init


def init_transformer(model: nn.Module, branches: int, std: float = 0.02) -> None:
    """Weights normal(0, std), biases 0, norms 1 and 0, in the order of `named_parameters`.

    branches: how many residual branches are added up; the layers that end one (`proj`, `down`)
    get std / sqrt(branches).
    """
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            init.zeros_(parameter)
        elif "norm" in name:
            init.ones_(parameter)
        else:
            ends_branch = name.endswith(("proj.weight", "down.weight"))
            init.normal_(parameter, 0.0, std / math.sqrt(branches) if ends_branch else std)
