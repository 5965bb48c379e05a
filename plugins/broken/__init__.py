"""Broken twins: ops, models and training steps with one well-known fault each.

The cases in `cases/broken/` hold each of them to fail with the finding that names its fault. They
show what a failure looks like, and that the checks can fail at all.
"""

from gradcheck import Register, hookimpl

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
def gradcheck_register(register: Register) -> None:
    from gradcheck.plugins._faults import wrong_ops

    from tinytorch import Op

    from . import datasets, models, steps

    for name in OPS:
        register.op(f"broken_{name}", Op(getattr(wrong_ops, name), f"broken_{name}"))

    register.model("rebuilt_activation", models.RebuiltActivation)
    register.model("detached_branch", models.DetachedBranch)
    register.model("hidden_layer", models.HiddenLayer)
    register.model("frozen_norm", models.FrozenNorm)
    register.model("unused_parameter", models.UnusedParameter)
    register.model("forgotten_layer", models.ForgottenLayer)

    register.loss("negated_cross_entropy", steps.negated_cross_entropy)
    register.loss("cross_entropy_of_softmax", steps.cross_entropy_of_softmax)

    register.step("rebuilds_logits", steps.rebuilds_logits)
    register.step("forgets_zero_grad", steps.step, train=steps.forgets_zero_grad)

    register.dataset("unpaired_digits", datasets.UnpairedDigits)
    register.dataset("shifted_twice", datasets.ShiftedTwice)
