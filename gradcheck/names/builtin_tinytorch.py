"""The bundled framework, contributed through the same hooks that any plugin uses.

`gradcheck.names.load` imports this module only where `import tinytorch` gives the bundled framework
(`gradcheck.names.bundled`).
"""

from __future__ import annotations

from typing import Any

from gradcheck import hookimpl
from gradcheck.names.hookspecs import Register
from tinytorch import OPS, Tensor

gradcheck_api = 1


@hookimpl
def gradcheck_frameworks(register: Register) -> None:
    from gradcheck.frameworks.tinytorch import TinyTorch

    register("tinytorch", TinyTorch)


@hookimpl
def gradcheck_ops(register: Register) -> None:
    for name, op in OPS.items():
        # `@op` enters a plugin's op in OPS too; its plugin registers that one.
        if op.__module__.partition(".")[0] == "tinytorch":
            register(name, op)


@hookimpl
def gradcheck_losses(register: Register) -> None:
    from tinytorch.nn import functional as F

    register("cross_entropy", F.cross_entropy)
    register("sequence_cross_entropy", sequence_cross_entropy)
    register("nll", F.nll_loss)
    register("mse", F.mse_loss)
    register("l1", F.l1_loss)
    register("huber", F.huber_loss)
    register("binary_cross_entropy_with_logits", F.binary_cross_entropy_with_logits)


def sequence_cross_entropy(logits: Tensor, ids: Tensor, **args: Any) -> Tensor:
    """Cross-entropy of logits (batch, time, classes) with ids (batch, time), classes last.

    `cross_entropy` has PyTorch's layout, the classes on axis 1. `args` are those of
    `cross_entropy`. Returns a scalar.
    """
    from tinytorch.nn import functional as F

    classes = logits.shape[-1]
    return F.cross_entropy(logits.reshape(-1, classes), ids.reshape(-1), **args)


@hookimpl
def gradcheck_optimizers(register: Register) -> None:
    from tinytorch import optim

    register("sgd", optim.SGD)
    register("adam", optim.Adam)
    register("adamw", optim.AdamW)
    register("rmsprop", optim.RMSprop)
