"""Seeing what an optimizer holds and what gradients it is given, without knowing whose it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradcheck.frameworks.nested import parts, replaced
from gradcheck.frameworks.protocol import Array, Leaf
from gradcheck.frameworks.walk import walk_leaves
from gradcheck.probe.subject import Subject

LISTS = ("param_groups", "params", "parameters", "_params", "_parameters")


def held_by(optimizer: Any, leaves: Sequence[Leaf]) -> list[Leaf] | None:
    """The tensors in the optimizer's own list, repeats included; None when it shows no list."""
    # with their base classes: a copy of a Parameter is often a plain tensor
    types = tuple({t for leaf in leaves for t in type(leaf).__mro__ if t is not object})
    for name in LISTS:
        value = getattr(optimizer, name, None)
        if callable(value) or value is None:
            continue
        found = list(_flat(value, types))
        if found:
            return found
    found = [leaf for _, leaf in walk_leaves(optimizer, types)]
    known = {id(leaf) for leaf in leaves}
    found = [leaf for leaf in found if id(leaf) in known]
    return found or None


def _flat(value: Any, types: tuple[type, ...]) -> Any:
    if isinstance(value, types):
        yield value
    elif isinstance(value, dict):
        for item in value["params"] if "params" in value else value.values():
            yield from _flat(item, types)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _flat(item, types)


class Watched:
    """An optimizer whose `step` first reports to `before`, then runs, then reports to `after`.

    Stands in for the optimizer: every other attribute is the original's, and so is the class that
    `isinstance` sees, which schedulers test.
    """

    def __init__(
        self,
        optimizer: Any,
        before: Callable[[], None],
        after: Callable[[], None] = lambda: None,
    ) -> None:
        self.__dict__.update(_optimizer=optimizer, _before=before, _after=after)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._optimizer)

    def step(self, *args: Any, **kwargs: Any) -> Any:
        """Where the optimizer gets a closure that computes the gradients, `before` hears of the
        step when the closure has done so."""
        told = False

        def telling(closure: Any) -> Any:
            def run() -> Any:
                nonlocal told
                value = closure()
                if not told:
                    self._before()
                told = True
                return value

            return run

        if args and callable(args[0]):
            args = (telling(args[0]), *args[1:])
        elif callable(kwargs.get("closure")):
            kwargs["closure"] = telling(kwargs["closure"])
        else:
            self._before()
        result = self._optimizer.step(*args, **kwargs)
        self._after()
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._optimizer, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "step":  # PyTorch's schedulers wrap it: on the original, it would call itself
            self.__dict__[name] = value
        else:
            setattr(self._optimizer, name, value)


def _steps(value: Any) -> bool:
    return callable(getattr(value, "step", None))


class StepLog:
    """Gradients and values around every optimizer step of a subject."""

    def __init__(self, subject: Subject, optimizer: Any) -> None:
        self.subject = subject
        self.optimizer = optimizer
        self.gradients: list[dict[str, Array | None]] = []
        self.before: list[dict[str, Array]] = []
        self.after: list[dict[str, Array]] = []
        self.left: list[dict[str, Array | None]] = []  # gradients when the step was done
        self.settings: list[dict[str, Any]] = []
        self.groups: list[dict[str, dict[str, Any]]] = []
        self._steps: dict[str, int] = {"": 0}
        subject.optimizer = self._watched(optimizer)

    @property
    def several(self) -> bool:
        """Whether the training step gets several optimizers, as that of a GAN does."""
        return "" not in self._steps

    def _watched(self, optimizer: Any) -> Any:
        """The optimizer, or the tuple, list or dict of optimizers, with each step noted."""
        names = [n for n, _ in parts(optimizer, _steps)]
        if not names or names == [""]:
            return Watched(optimizer, self._enter, self._leave)
        self._steps = dict.fromkeys(names, 0)
        return replaced(
            optimizer, _steps, lambda n, one: Watched(one, self._enter, lambda: self._leave(n))
        )

    def until_stepped(self, calls: int) -> float | None:
        """Call the training step until the optimizer has stepped once more: the loss of that call,
        None if it has not within `calls`. A step that accumulates updates only now and then. Of
        several optimizers each must have stepped."""
        before = dict(self._steps)
        for _ in range(calls):
            loss = self.subject.train_step()
            if all(self._steps[n] > count for n, count in before.items()):
                return loss
        return None

    def _enter(self) -> None:
        self.gradients.append(self.subject.grads())
        self.before.append(self._values())
        self.settings.append(settings(self.optimizer))
        self.groups.append(settings_by_leaf(self.optimizer, self.subject.leaves))

    def _leave(self, name: str = "") -> None:
        self._steps[name] += 1
        self.after.append(self._values())
        self.left.append(self.subject.grads())

    def _values(self) -> dict[str, Array]:
        return {name: self.subject.get(name) for name in self.subject.leaves}


def settings(optimizer: Any) -> dict[str, Any]:
    """Hyper-parameters as the optimizer holds them now: of its attributes, its `defaults`, its
    first parameter group, the later the stronger."""
    found: dict[str, Any] = {}
    sources = [vars(optimizer) if hasattr(optimizer, "__dict__") else {}]
    sources.append(getattr(optimizer, "defaults", None) or {})
    groups = getattr(optimizer, "param_groups", None)
    if isinstance(groups, list) and groups and isinstance(groups[0], dict):
        sources.append(groups[0])
    for source in sources:
        found.update(_numbers(source))
    return found


def settings_by_leaf(optimizer: Any, leaves: Mapping[str, Leaf]) -> dict[str, dict[str, Any]]:
    """What the parameter group of each leaf says, where there are groups."""
    groups = getattr(optimizer, "param_groups", None)
    if not isinstance(groups, list):
        return {}
    names = {id(leaf): name for name, leaf in leaves.items()}
    found: dict[str, dict[str, Any]] = {}
    for group in groups:
        if isinstance(group, dict) and isinstance(group.get("params"), (list, tuple)):
            own = _numbers(group)
            found.update({names[id(p)]: own for p in group["params"] if id(p) in names})
    return found


def _numbers(source: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that are numbers, or short rows of numbers."""
    return {
        name.lstrip("_"): value
        for name, value in source.items()
        if isinstance(value, (int, float))
        or (isinstance(value, (tuple, list)) and all(isinstance(v, (int, float)) for v in value))
    }
