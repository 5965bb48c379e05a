"""The hooks of gradcheck. Each is called with `register`, a function that enters one thing.

A plugin never touches the host's state; what it registers is kept with the plugin's name and line.
Every `register` of a thing that works on tensors takes `framework="tinytorch"`: the framework whose
tensors they are. The example in each docstring is a whole plugin, and is run by a test.

A plugin may say `gradcheck_api = 1`, the number of this API. A hook or argument that is to go is
first deprecated for one release: it still works, and a sentence says what to use instead.
"""

from __future__ import annotations

from typing import Any, Protocol

import pluggy

hookspec = pluggy.HookspecMarker("gradcheck")


class Register(Protocol):
    """Enter `value` under `name`.

    What cannot be entered (a name that is taken or cannot be part of a test id, a thing of the
    wrong kind, an unknown argument) is noted with the plugin's file and line and shown to the user;
    nothing is raised, and what else the plugin contributes is entered all the same.
    """

    def __call__(self, name: str, value: Any, **extra: Any) -> None: ...


@hookspec
def gradcheck_ops(register: Register) -> None:
    """`register(name, op, inputs={...}, args={...})`: op is called with framework tensors.

    `inputs` (as in a YAML case: name -> shape or spec) makes an implicit case of the op; `args` are
    its other arguments there.

        import numpy as np
        from gradcheck import hookimpl
        from tinytorch.op import op

        @op
        def logcosh(x):
            return np.logaddexp(x, -x) - np.log(2), lambda g: g * np.tanh(x)

        @hookimpl
        def gradcheck_ops(register):
            register("logcosh", logcosh, inputs={"x": [2, 3]})
    """


@hookspec
def gradcheck_models(register: Register) -> None:
    """`register(name, factory)`: factory(**args of the case) makes a model, called as model(x).

    from gradcheck import hookimpl
    from tinytorch import nn

    def bottleneck(width, narrow):
        return nn.Sequential(nn.Linear(width, narrow), nn.Tanh(), nn.Linear(narrow, width))

    @hookimpl
    def gradcheck_models(register):
        register("bottleneck", bottleneck)
    """


@hookspec
def gradcheck_losses(register: Register) -> None:
    """`register(name, loss)`: loss(output, target, **args of the case) returns a scalar tensor.

    from gradcheck import hookimpl

    def quartic(output, target, weight=1.0):
        return ((output - target) ** 4).mean() * weight

    @hookimpl
    def gradcheck_losses(register):
        register("quartic", quartic)
    """


@hookspec
def gradcheck_optimizers(register: Register) -> None:
    """`register(name, factory)`: factory(parameters, **args) returns an object with `step()` and
    `zero_grad()`. A first parameter called `model` gets the model instead of a parameter list.

        import numpy as np
        from gradcheck import hookimpl

        class SignDescent:
            def __init__(self, parameters, lr):
                self.parameters, self.lr = list(parameters), lr

            def zero_grad(self):
                for p in self.parameters:
                    p.grad = None

            def step(self):
                for p in self.parameters:
                    if p.grad is not None:
                        p.data -= self.lr * np.sign(p.grad)

        @hookimpl
        def gradcheck_optimizers(register):
            register("sign_descent", SignDescent)
    """


@hookspec
def gradcheck_steps(register: Register) -> None:
    """`register(name, step, train=None)`: step(model, batch, loss) returns the scalar loss.

    batch is a tuple of tensors, inputs first, the target last. The default step is
    loss(model(*batch[:-1]), batch[-1]). `train(model, batch, loss, optimizer)`, where given, is the
    whole update, zero_grad to optimizer.step(), and returns the loss; the default is zero_grad,
    step, backward, optimizer.step().

        from gradcheck import hookimpl

        def with_penalty(model, batch, loss):
            x, y = batch
            penalty = sum((p * p).sum() for p in model.parameters())
            return loss(model(x), y) + 0.01 * penalty

        @hookimpl
        def gradcheck_steps(register):
            register("with_penalty", with_penalty)
    """


@hookspec
def gradcheck_datasets(register: Register) -> None:
    """`register(name, factory)`: factory(**args) returns a dataset: `len(d)`, and `d[i]` a tuple of
    numpy arrays or numbers, inputs first, the target last. It may have `source` (one line that says
    where the data came from) and `loader(batch_size, shuffle, seed)` (its own batches).

        import numpy as np
        from gradcheck import hookimpl

        class Line:
            source = "points on a line"

            def __len__(self):
                return 64

            def __getitem__(self, i):
                x = np.array([i / 64], np.float32)
                return x, 2 * x + 1

        @hookimpl
        def gradcheck_datasets(register):
            register("line", Line)
    """


@hookspec
def gradcheck_checks(register: Register) -> None:
    """`register(name, check)`: an object with `name`, `Options`, `applies(case)` and
    `run(subject, options)`; see `gradcheck.checks.base.Check`.

        import gradcheck
        from gradcheck import Finding, Result, hookimpl

        class FewParameters:
            \"\"\"The model has no more parameters than it may.\"\"\"

            name = "few_parameters"

            class Options(gradcheck.Options):
                most: int = 1000

            def applies(self, case):
                return None if case.model else "it is a case of an op"

            def run(self, subject, options):
                count = sum(subject.get(name).size for name in subject.parameters)
                found = Finding(code="too_many", message=f"{count} parameters are too many")
                return Result(findings=(found,) if count > options.most else ())

        @hookimpl
        def gradcheck_checks(register):
            register("few_parameters", FewParameters())
    """


@hookspec
def gradcheck_frameworks(register: Register) -> None:
    """`register(name, factory)`: factory() returns a `Framework`; called when first needed.

    `python -m gradcheck new framework NAME` writes an adapter to start from.

        from gradcheck import hookimpl

        def make_adapter():
            from my_package.adapter import Adapter

            return Adapter()

        @hookimpl
        def gradcheck_frameworks(register):
            register("my_framework", make_adapter)
    """


@hookspec
def gradcheck_faults(register: Register) -> None:
    """`register(name, patch, check=..., finding=...)`: patch() is a context manager that plants a
    fault; the named check must fail with that finding while it is active.

        from contextlib import contextmanager
        from gradcheck import hookimpl
        from tinytorch import OPS

        @contextmanager
        def flipped_tanh():
            op, right = OPS["tanh"], OPS["tanh"].fn

            def wrong(x):
                y, pullback = right(x)
                return y, lambda g: -pullback(g)

            op.fn = wrong
            try:
                yield
            finally:
                op.fn = right

        @hookimpl
        def gradcheck_faults(register):
            register("flipped_tanh", flipped_tanh, check="gradient", finding="wrong_gradient")
    """
