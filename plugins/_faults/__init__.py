"""The catalogue of faults: what the checks must find, each with the case on which it shows.

`python -m gradcheck faults` plants them one by one and reports which check caught which. Only that
command, tests and benchmarks load it: a name that begins with '_' is not a plugin of ordinary runs.
"""

from gradcheck import Register, hookimpl

gradcheck_api = 1


@hookimpl
def gradcheck_register(register: Register) -> None:
    from . import catalogue, loops, subjects

    for name, model in subjects.MODELS.items():
        register.model(name, model)
    register.op("row_norm", subjects.row_norm)

    # Looked up when called, so that what is planted in `loops` is what runs.
    register.loss("fault_loss", lambda output, target: loops.loss(output, target))
    register.loss(
        "fault_sequence_loss", lambda output, target, **a: loops.sequence_loss(output, target, **a)
    )
    register.loss("fault_squares", lambda output, target: loops.squares(output, target))
    register.step(
        "fault_step",
        lambda model, batch, loss: loops.step(model, batch, loss),
        train=lambda model, batch, loss, optimizer: loops.train(model, batch, loss, optimizer),
    )

    register.optimizer("fault_adagrad", loops.Adagrad)
    register.dataset("fault_digits", loops.Digits)
    register.dataset("fault_text", loops.Text)

    for fault in catalogue.all_faults():
        register.fault(
            fault.name,
            fault.plant,
            check=fault.check,
            finding=fault.finding,
            case=fault.case,
            expect=dict(fault.expect),
        )
