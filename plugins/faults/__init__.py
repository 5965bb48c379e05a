"""Planted faults: what the checks must find, each with the case on which it shows.

`python -m gradcheck faults` plants them one by one and says which check caught which.
"""

from gradcheck import hookimpl
from gradcheck.hookspecs import Register

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
