"""The catalogue of faults: what the checks must find, each with the case on which it shows.

`python -m gradcheck faults` plants them one by one and reports which check caught which. Only that
command, tests and benchmarks load it: a name that begins with '_' is not a plugin of ordinary runs.
"""

from gradcheck import hookimpl
from gradcheck.names.hookspecs import Register

gradcheck_api = 1


@hookimpl
def gradcheck_models(register: Register) -> None:
    from . import subjects

    for name, model in subjects.MODELS.items():
        register(name, model)


@hookimpl
def gradcheck_ops(register: Register) -> None:
    from . import subjects

    register("row_norm", subjects.row_norm)


@hookimpl
def gradcheck_losses(register: Register) -> None:
    from . import loops

    # looked up when called, so that what is planted in `loops` is what runs
    register("fault_loss", lambda output, target: loops.loss(output, target))
    register(
        "fault_sequence_loss", lambda output, target, **a: loops.sequence_loss(output, target, **a)
    )


@hookimpl
def gradcheck_steps(register: Register) -> None:
    from . import loops

    register(
        "fault_step",
        lambda model, batch, loss: loops.step(model, batch, loss),
        train=lambda model, batch, loss, optimizer: loops.train(model, batch, loss, optimizer),
    )


@hookimpl
def gradcheck_optimizers(register: Register) -> None:
    from . import loops

    register("fault_adagrad", loops.Adagrad)


@hookimpl
def gradcheck_datasets(register: Register) -> None:
    from . import loops

    register("fault_digits", loops.Digits)
    register("fault_text", loops.Text)


@hookimpl
def gradcheck_faults(register: Register) -> None:
    from . import catalogue

    for fault in catalogue.all_faults():
        register(
            fault.name,
            fault.plant,
            check=fault.check,
            finding=fault.finding,
            case=fault.case,
            expect=dict(fault.expect),
        )
