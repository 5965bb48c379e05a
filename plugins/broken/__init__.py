"""Broken twins: ops, models and training steps with one well-known fault each.

The cases in `cases/broken/` hold each of them to fail with the finding that names its fault. They
show what a failure looks like, and that the checks can fail at all.
"""

from gradcheck import Register, hookimpl

gradcheck_api = 1


@hookimpl
def gradcheck_register(register: Register) -> None:
    from . import datasets, models, ops, steps

    for name in ops.NAMES:
        register.op(f"broken_{name}", getattr(ops, name))

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
