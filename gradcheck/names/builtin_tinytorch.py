"""The bundled framework, contributed through the same hooks that any plugin uses.

`gradcheck.names.load` imports this module only where `import tinytorch` gives the bundled framework
(`gradcheck.names.bundled`).
"""

from __future__ import annotations

from typing import Any

from gradcheck import Register, hookimpl
from tinytorch import OPS, Tensor

gradcheck_api = 1


def sequence_cross_entropy(logits: Tensor, ids: Tensor, **args: Any) -> Tensor:
    """Cross-entropy of logits (batch, time, classes) with ids (batch, time), classes last.

    `cross_entropy` has PyTorch's layout, the classes on axis 1. `args` are those of
    `cross_entropy`. Returns a scalar.
    """
    from tinytorch.nn import functional as F

    classes = logits.shape[-1]
    return F.cross_entropy(logits.reshape(-1, classes), ids.reshape(-1), **args)


@hookimpl
def gradcheck_register(register: Register) -> None:
    from gradcheck import own_loss
    from gradcheck.frameworks.tinytorch import TinyTorch
    from tinytorch import optim
    from tinytorch.nn import functional as F

    register.framework("tinytorch", TinyTorch, module="tinytorch")

    for name, op in OPS.items():
        # `@op` enters a plugin's op in OPS too; its plugin registers that one.
        if op.__module__.partition(".")[0] == "tinytorch":
            register.op(name, op)

    register.loss("cross_entropy", F.cross_entropy)
    register.loss("sequence_cross_entropy", sequence_cross_entropy)
    register.loss("nll", F.nll_loss)
    register.loss("mse", F.mse_loss)
    register.loss("l1", F.l1_loss)
    register.loss("huber", F.huber_loss)
    register.loss("binary_cross_entropy_with_logits", F.binary_cross_entropy_with_logits)

    register.step("own_loss", own_loss)

    register.optimizer("sgd", optim.SGD)
    register.optimizer("adam", optim.Adam)
    register.optimizer("adamw", optim.AdamW)
    register.optimizer("rmsprop", optim.RMSprop)
