"""Broken twins: ops, models and training steps with one well-known fault each.

The cases in `cases/broken/` hold each of them to fail with the finding that names its fault. They
show what a failure looks like, and that the checks can fail at all.
"""

from gradcheck import hookimpl
from gradcheck.names.hookspecs import Register

gradcheck_api = 1

OPS = (
    "tanh_sign",
    "square_without_two",
    "sin_scaled",
    "relu_of_cotangent",
    "softmax_wrong_axis",
    "layer_norm_without_variance",
    "layer_norm_eps_outside",
    "matmul_untransposed",
    "embedding_assigns",
    "max_to_every_tie",
    "exp_changes_cotangent",
)
"""Of the catalogue of wrong ops, those that have a case."""


@hookimpl
def gradcheck_ops(register: Register) -> None:
    from gradcheck.plugins._faults import wrong_ops

    from tinytorch.op import Op

    for name in OPS:
        register(f"broken_{name}", Op(getattr(wrong_ops, name), f"broken_{name}"))


@hookimpl
def gradcheck_models(register: Register) -> None:
    from . import models

    register("rebuilt_activation", models.RebuiltActivation)
    register("detached_branch", models.DetachedBranch)
    register("hidden_layer", models.HiddenLayer)
    register("frozen_norm", models.FrozenNorm)
    register("unused_parameter", models.UnusedParameter)
    register("forgotten_layer", models.ForgottenLayer)


@hookimpl
def gradcheck_losses(register: Register) -> None:
    from . import steps

    register("negated_cross_entropy", steps.negated_cross_entropy)
    register("cross_entropy_of_softmax", steps.cross_entropy_of_softmax)


@hookimpl
def gradcheck_steps(register: Register) -> None:
    from . import steps

    register("rebuilds_logits", steps.rebuilds_logits)
    register("forgets_zero_grad", steps.step, train=steps.forgets_zero_grad)


@hookimpl
def gradcheck_datasets(register: Register) -> None:
    from . import datasets

    register("unpaired_digits", datasets.UnpairedDigits)
    register("shifted_twice", datasets.ShiftedTwice)
