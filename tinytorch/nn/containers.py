"""Modules that hold modules: Sequential, ModuleList, ModuleDict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from tinytorch.nn.module import Module

L = TypeVar("L", bound="_Numbered")


class _Numbered(Module):
    """Children named '0', '1', ..."""

    def __len__(self) -> int:
        return len(self._own(Module))

    def __iter__(self) -> Iterator[Module]:
        return (module for _, module in self._own(Module))

    def __getitem__(self: L, index: int | slice) -> Any:
        modules = list(self)
        if isinstance(index, slice):
            part = type(self)()
            return part.extend(modules[index])
        return modules[self._position(index)]

    def __setitem__(self, index: int, module: Module) -> None:
        name = str(self._position(index))
        self.add_module(name, module)

    def append(self: L, module: Module) -> L:
        if not isinstance(module, Module):
            raise TypeError(
                f"{type(self).__name__} holds Modules, got {type(module).__name__} at place "
                f"{len(self)}"
            )
        self.add_module(str(len(self)), module)
        return self

    def extend(self: L, modules: Iterable[Module]) -> L:
        for module in modules:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> None:
        modules = list(self)
        modules.insert(index, module)
        for place, each in enumerate(modules):
            self.add_module(str(place), each)

    def _position(self, index: int) -> int:
        n = len(self)
        if not -n <= index < n:
            raise IndexError(f"index {index} is out of range for {n} modules")
        return index % n


class Sequential(_Numbered):
    """Calls its modules in turn, each on the result of the one before.

    Sequential(a, b, c), or Sequential({"first": a, "second": b}) for names of your own.
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, module in modules[0].items():
                self.add_module(name, module)
        else:
            self.extend(modules)  # type: ignore[arg-type]  # append() refuses what is no Module

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return Sequential(dict(self._own(Module)[index]))
        return super().__getitem__(index)

    def __setitem__(self, index: int, module: Module) -> None:
        name = self._own(Module)[self._position(index)][0]
        self.add_module(name, module)

    def forward(self, input: Any) -> Any:
        for module in self:
            input = module(input)
        return input


class ModuleList(_Numbered):
    """A list of modules whose parameters are found. It has no forward: loop over it."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(modules or ())


class ModuleDict(Module):
    """Modules by name, whose parameters are found, in the order they were put in."""

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        self.update(modules or {})

    def __len__(self) -> int:
        return len(self._own(Module))

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, key: str) -> bool:
        return isinstance(self.__dict__.get(key), Module)

    def __getitem__(self, key: str) -> Any:
        if key not in self:
            raise KeyError(f"no module {key!r}; there are {', '.join(self.keys()) or 'none'}")
        return self.__dict__[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        self.pop(key)

    def pop(self, key: str) -> Any:
        module = self[key]
        del self.__dict__[key]
        return module

    def keys(self) -> list[str]:
        return [name for name, _ in self._own(Module)]

    def values(self) -> list[Module]:
        return [module for _, module in self._own(Module)]

    def items(self) -> list[tuple[str, Module]]:
        return self._own(Module)

    def update(self, modules: Mapping[str, Module]) -> None:
        for name, module in modules.items():
            self[name] = module
