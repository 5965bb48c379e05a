"""Module: a tree of parameters, buffers and other modules, found among its attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from tinytorch.nn.parameter import Parameter
from tinytorch.nn.state import StateDict, load_into, state_of
from tinytorch.tensor import Tensor

M = TypeVar("M", bound="Module")


class Module:
    """Base of all layers and models. A subclass sets attributes and defines `forward`.

    Attributes that are `Parameter`s are its parameters, attributes that are `Module`s its children,
    named as the attributes are: `blocks.0.attn.qkv.weight`. As in PyTorch, what stands in a plain
    list or dict is not found (use `ModuleList`, `ModuleDict`), nor a Tensor that is no Parameter.
    A name registered with `register_buffer` is state that is saved but not trained.
    """

    # Class attributes, so that a subclass which forgets super().__init__() works all the same.
    training: bool = True
    _buffer_names: dict[str, bool] = {}  # noqa: RUF012  # name -> saved; replaced, never changed

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(
            f"{type(self).__name__} has no forward(); define it with the arguments of the call"
        )

    def __setattr__(self, name: str, value: Any) -> None:
        plain = isinstance(value, Tensor) and not isinstance(value, Parameter)
        if plain and isinstance(self.__dict__.get(name), Parameter):
            raise TypeError(
                f"{type(self).__name__}.{name} is a Parameter; assigning a plain Tensor would take "
                "it out of training. Assign nn.Parameter(...), or None first"
            )
        object.__setattr__(self, name, value)

    # --- registration -----------------------------------------------------------------------

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """The same as `self.<name> = param`; None keeps the name for 'there is none'."""
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"parameter {name!r} of {type(self).__name__} must be an nn.Parameter or None, "
                f"got {type(param).__name__}"
            )
        object.__setattr__(self, self._free_name(name, Parameter), param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """`self.<name> = tensor`, state that is not trained; in the state_dict if `persistent`."""
        if tensor is not None and (not isinstance(tensor, Tensor) or isinstance(tensor, Parameter)):
            raise TypeError(
                f"buffer {name!r} of {type(self).__name__} must be a plain Tensor or None, "
                f"got {type(tensor).__name__}"
            )
        if name not in self._buffer_names:
            self._free_name(name, ())
        object.__setattr__(self, name, tensor)
        self._buffer_names = {**self._buffer_names, name: persistent}

    def add_module(self, name: str, module: Module | None) -> None:
        """The same as `self.<name> = module`."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{name!r} must be a Module or None, got {type(module).__name__}")
        object.__setattr__(self, self._free_name(name, Module), module)

    register_module = add_module

    def _free_name(self, name: str, kind: Any) -> str:
        """`name`, if it is free or holds one of `kind` already. Raises KeyError otherwise."""
        if not isinstance(name, str) or not name or "." in name:
            raise KeyError(f"{name!r} cannot name a part of a module: use letters, without dots")
        taken = self.__dict__.get(name)
        if hasattr(type(self), name) or (taken is not None and not isinstance(taken, kind)):
            raise KeyError(
                f"{type(self).__name__} already has an attribute {name!r}; choose another name"
            )
        return name

    # --- what it consists of ----------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of each module directly under this one, each once."""
        seen: set[int] = set()
        for name, value in self._own(Module):
            if id(value) not in seen:
                seen.add(id(value))
                yield name, value

    def children(self) -> Iterator[Module]:
        return (module for _, module in self.named_children())

    def named_modules(
        self, memo: set[int] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """(dotted name, module) of this module (name '') and all below, each once."""
        memo = set() if memo is None else memo
        if id(self) in memo:
            return
        if remove_duplicate:
            memo.add(id(self))
        yield prefix, self
        for name, module in self._own(Module):
            yield from module.named_modules(memo, _join(prefix, name), remove_duplicate)

    def modules(self) -> Iterator[Module]:
        return (module for _, module in self.named_modules())

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """(dotted name, parameter), in the order of definition, own ones before those of children.

        A tied parameter comes once, under its first name (`remove_duplicate=False`: under each).
        """
        return self._named(lambda module: module._own(Parameter), prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        return (p for _, p in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """(dotted name, buffer) of all registered buffers that are not None."""
        return self._named(Module._own_buffers, prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        return (b for _, b in self.named_buffers(recurse=recurse))

    def num_parameters(self, only_trainable: bool = False) -> int:
        """How many numbers the parameters hold; tied ones count once."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad or not only_trainable)

    def get_submodule(self, target: str) -> Module:
        """The module of a dotted name; '' is this one. Raises AttributeError."""
        return self._find(target, Module) if target else self

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of a dotted name. Raises AttributeError."""
        return self._find(target, Parameter)

    def _find(self, target: str, kind: type[Any]) -> Any:
        value: Any = self
        for part in target.split("."):
            value = value.__dict__.get(part) if isinstance(value, Module) else None
        if not isinstance(value, kind):
            raise AttributeError(f"{type(self).__name__} has no {kind.__name__} named {target!r}")
        return value

    def _own(self, kind: type[Any]) -> list[tuple[str, Any]]:
        return [(name, value) for name, value in self.__dict__.items() if isinstance(value, kind)]

    def _own_buffers(self) -> list[tuple[str, Tensor]]:
        named = ((name, self.__dict__.get(name)) for name in self._buffer_names)
        return [(name, value) for name, value in named if isinstance(value, Tensor)]

    def _named(
        self,
        members: Callable[[Module], list[tuple[str, Any]]],
        prefix: str,
        recurse: bool,
        remove_duplicate: bool,
    ) -> Iterator[tuple[str, Any]]:
        tree = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        seen: set[int] = set()
        for path, module in tree if recurse else [(prefix, self)]:
            for name, value in members(module):
                if remove_duplicate and id(value) in seen:
                    continue
                seen.add(id(value))
                yield _join(path, name), value

    # --- state ------------------------------------------------------------------------------

    def train(self: M, mode: bool = True) -> M:
        """Set training mode (dropout, batch norm) here and below; returns self."""
        if not isinstance(mode, bool):
            raise TypeError(f"train() takes True or False, got {mode!r}")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: M) -> M:
        """Set evaluation mode; the same as train(False)."""
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Freeze (False) or thaw all parameters; returns self."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters (or fill them with zeros)."""
        for p in self.parameters():
            if set_to_none:
                p.grad = None
            elif p.grad is not None:
                p.grad[...] = 0

    def to(self: M, dtype: DTypeLike) -> M:
        """Cast floating parameters, their gradients and floating buffers in place; returns self.

        Integer state stays. Raises TypeError for a dtype that is not floating.
        """
        wanted = np.dtype(dtype)
        if wanted.kind != "f":
            raise TypeError(f"a module can be cast to floating dtypes only, got {wanted}")
        for t in [*self.parameters(), *self.buffers()]:
            if t.is_floating_point():
                t._data = t._data.astype(wanted, copy=False)
                if t.grad is not None:
                    t.grad = t.grad.astype(wanted, copy=False)
        return self

    def float(self: M) -> M:
        """Cast to float32."""
        return self.to(np.float32)

    def double(self: M) -> M:
        """Cast to float64."""
        return self.to(np.float64)

    def apply(self: M, fn: Callable[[Module], Any]) -> M:
        """Call `fn` on every module below, then on this one; returns self."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def state_dict(self, prefix: str = "") -> StateDict:
        """Dotted name -> detached tensor sharing the array, for parameters and persistent buffers.

        As in PyTorch a tied parameter stands under each of its names.
        """
        return state_of(self, prefix)

    def load_state_dict(self, state_dict: StateDict, strict: bool = True) -> tuple[Any, Any]:
        """Copy values into the parameters and buffers, keeping their identity and dtype.

        Returns (missing names, unexpected names). Raises StateDictError, naming all that is wrong,
        and then changes nothing; with `strict=False` only for shapes that do not fit.
        """
        return load_into(self, state_dict, strict)

    # --- how it reads -----------------------------------------------------------------------

    def extra_repr(self) -> str:
        """The arguments that a reader of repr() wants to see."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = [
            f"({name}): " + repr(module).replace("\n", "\n  ") for name, module in self._own(Module)
        ]
        if not lines:
            return f"{type(self).__name__}({extra})"
        body = "\n  ".join(([extra] if extra else []) + lines)
        return f"{type(self).__name__}(\n  {body}\n)"


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
