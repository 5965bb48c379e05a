"""What is wrong with a thing that a plugin registers, by kind, and what to do about it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any


def problem_with(kind: str, name: Any, value: Any, extra: Mapping[str, Any]) -> str | None:
    """A clause that says what is wrong with a thing and what to do; None if it is valid."""
    if not isinstance(name, str):
        return f"the name must be text, got {_type(name)}; call register.{kind}('name', ...)"
    return _LOOK[kind](name, value, extra)


def _type(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def _takes(value: Callable[..., Any], count: int) -> bool:
    """Whether `count` positional arguments can be given. True where the signature is unknown."""
    try:
        inspect.signature(value).bind(*range(count))
    except TypeError:
        return False
    except ValueError:
        pass
    return True


def _op(name: str, value: Any, extra: Mapping[str, Any]) -> str | None:
    if not callable(value):
        return f"an op is a function of tensors, got {_type(value)}; register the function"
    if "inputs" in extra:
        from gradcheck.yamlcases.inputs import input_specs

        try:
            input_specs(extra["inputs"])
        except ValueError as error:
            return str(error)
    if not isinstance(extra.get("args", {}), Mapping):
        return f"args must be a dict of the op's other arguments, got {_type(extra['args'])}"
    return None


def _factory(what: str) -> Callable[[str, Any, Mapping[str, Any]], str | None]:
    def look(name: str, value: Any, extra: Mapping[str, Any]) -> str | None:
        made = not isinstance(value, type) and hasattr(value, "parameters")
        if callable(value) and not made:
            return None
        return f"{what}, got {_type(value)}; register the class or function that makes one"

    return look


def _loss(name: str, value: Any, extra: Mapping[str, Any]) -> str | None:
    if isinstance(value, type) or not callable(value):
        return f"a loss is a function loss(output, target), got {_type(value)}; register a function"
    if not _takes(value, 2):
        return f"a loss is called as loss(output, target); {name} does not take two arguments"
    return None


def _step(name: str, value: Any, extra: Mapping[str, Any]) -> str | None:
    if not callable(value):
        return f"a step is a function step(model, batch, loss), got {_type(value)}; register one"
    if not _takes(value, 3):
        return f"a step is called as step(model, batch, loss); {name} does not take three arguments"
    train = extra.get("train")
    if train is not None and not (callable(train) and _takes(train, 4)):
        return "train is called as train(model, batch, loss, optimizer); pass such a function"
    return None


def _check(name: str, value: Any, extra: Mapping[str, Any]) -> str | None:
    from pydantic import BaseModel

    if isinstance(value, type):
        return f"a check is an object, got {_type(value)}; register {value.__name__}()"
    missing = [m for m in ("run", "applies") if not callable(getattr(value, m, None))]
    if missing:
        return f"the check has no method {' and no '.join(missing)}; see docs on writing a check"
    if getattr(value, "name", None) != name:
        return (
            f"the check calls itself {getattr(value, 'name', None)!r}; "
            f"set its `name` to {name!r}, the YAML key"
        )
    options = getattr(value, "Options", None)
    if not (isinstance(options, type) and issubclass(options, BaseModel)):
        return "its Options must be a subclass of gradcheck.Options; that is the schema of its YAML"
    if any(field.is_required() for field in options.model_fields.values()):
        required = [n for n, f in options.model_fields.items() if f.is_required()]
        return f"its option {required[0]!r} has no default; every option of a check needs one"
    if not _takes(value.run, 2) or not _takes(value.applies, 1):
        return "a check has run(self, subject, options) and applies(self, case); change its methods"
    return None


def _fault(name: str, value: Any, extra: Mapping[str, Any]) -> str | None:
    if not callable(value):
        return f"a fault is a function that returns a context manager, got {_type(value)}"
    for key in ("check", "finding"):
        if not isinstance(extra.get(key), str):
            return f"{key} must be the name of a {key}, got {_type(extra.get(key))}"
    return None


_LOOK: dict[str, Callable[[str, Any, Mapping[str, Any]], str | None]] = {
    "op": _op,
    "model": _factory("a model is made by a class or function"),
    "loss": _loss,
    "optimizer": _factory("an optimizer is made by a class or function"),
    "step": _step,
    "dataset": _factory("a dataset is made by a class or function"),
    "check": _check,
    "framework": _factory("a framework adapter is made by a class or function"),
    "fault": _fault,
}
