"""The hooks of gradcheck. Each is called with `register`, a function that enters one thing.

    from gradcheck import hookimpl

    @hookimpl
    def gradcheck_models(register):
        register("my_model", MyModel)

A plugin never touches the host's state; what it registers is kept with the plugin's name and line.
Every `register` takes `framework="tinytorch"`: the framework whose tensors the thing works on.
"""

from __future__ import annotations

from typing import Any, Protocol

import pluggy

hookspec = pluggy.HookspecMarker("gradcheck")


class Register(Protocol):
    """Enter `value` under `name`. Raises ValueError when the name is taken or cannot be an id."""

    def __call__(self, name: str, value: Any, **extra: Any) -> None: ...


@hookspec
def gradcheck_ops(register: Register) -> None:
    """`register(name, op, inputs={...}, args={...})`: op is called with framework tensors.

    `inputs` (as in a YAML case: name -> shape or spec) makes an implicit case of the op.
    """


@hookspec
def gradcheck_models(register: Register) -> None:
    """`register(name, factory)`: factory(**args of the case) makes a model, called as model(x)."""


@hookspec
def gradcheck_losses(register: Register) -> None:
    """`register(name, loss)`: loss(output, target) returns a scalar tensor."""


@hookspec
def gradcheck_optimizers(register: Register) -> None:
    """`register(name, factory)`: factory(parameters, **args) returns an object with `step()` and
    `zero_grad()`. A first parameter called `model` gets the model instead of a parameter list."""


@hookspec
def gradcheck_steps(register: Register) -> None:
    """`register(name, step, train=None)`: step(model, batch, loss) returns the scalar loss.

    batch is a tuple of tensors, inputs first, the target last. The default step is
    loss(model(*batch[:-1]), batch[-1]). `train(model, batch, loss, optimizer)`, where given, is the
    whole update, zero_grad to optimizer.step(), and returns the loss; the default is zero_grad,
    step, backward, optimizer.step().
    """


@hookspec
def gradcheck_datasets(register: Register) -> None:
    """`register(name, factory)`: factory(**args) returns a dataset: `len(d)`, and `d[i]` a tuple of
    numpy arrays or numbers, inputs first, the target last. It may have `source` (one line that says
    where the data came from) and `loader(batch_size, shuffle, seed)` (its own batches)."""


@hookspec
def gradcheck_checks(register: Register) -> None:
    """`register(name, check)`: an object with `name`, `Options`, `applies(case)` and
    `run(subject, options)`; see `gradcheck.checks.base.Check`."""


@hookspec
def gradcheck_frameworks(register: Register) -> None:
    """`register(name, factory)`: factory() returns a `Framework`; called when first needed."""


@hookspec
def gradcheck_faults(register: Register) -> None:
    """`register(name, patch, check=..., finding=...)`: patch() is a context manager that plants a
    fault; the named check must fail with that finding while it is active."""
