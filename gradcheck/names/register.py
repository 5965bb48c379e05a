"""What a plugin registers things with: the argument of its hook, `gradcheck_register(register)`.

The example in each docstring is a whole plugin, and a test runs it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from gradcheck.names.registry import SHARED, Entry, Registry
from gradcheck.names.validate import problem_with
from gradcheck.source.where import UNKNOWN, where_of, where_of_frame

if TYPE_CHECKING:
    from gradcheck.checks.base import Check
    from gradcheck.frameworks.protocol import Framework


class Register:
    """Enters things under the names that cases use. Each plugin and each conftest gets its own.

    A value that cannot be entered (its name is taken or cannot be part of a test id, or it is the
    wrong kind of thing) becomes one sentence with the plugin's file and line. Nothing is raised,
    and what else the plugin registers is kept.

    What works on tensors takes `framework`: the registered name of the framework whose tensors
    they are.
    """

    def __init__(self, registry: Registry, plugin: str) -> None:
        self._registry = registry
        self._plugin = plugin

    def lacks(self, framework: str) -> str | None:
        """Why an optional framework is not in use here, as a clause; None where it is in use.

        A plugin that serves several frameworks asks before it imports one of them:
        `if not register.lacks("tinytorch"): ...`.
        """
        return self._registry.absent.get(framework)

    def op(
        self,
        name: str,
        op: Callable[..., Any],
        *,
        inputs: Mapping[str, Sequence[int] | Mapping[str, Any]] | None = None,
        args: Mapping[str, Any] | None = None,
        framework: str = "tinytorch",
    ) -> None:
        """Register a function that is called with tensors of the framework.

        `inputs` are sample inputs, as in a YAML case: name -> shape or spec. With them the op gets
        a case of its own, in which `args` are its other arguments.

            import numpy as np
            from gradcheck import hookimpl
            from tinytorch import op

            @op
            def logcosh(x):
                return np.logaddexp(x, -x) - np.log(2), lambda g: g * np.tanh(x)

            @hookimpl
            def gradcheck_register(register):
                register.op("logcosh", logcosh, inputs={"x": [2, 3]})
        """
        self._enter("op", name, op, framework, inputs=inputs, args=args)

    def model(
        self, name: str, factory: Callable[..., Any], *, framework: str = "tinytorch"
    ) -> None:
        """Register a factory: `factory(**args of the case)` makes a model, called as `model(x)`.

        from gradcheck import hookimpl
        from tinytorch import nn

        def bottleneck(width, narrow):
            return nn.Sequential(nn.Linear(width, narrow), nn.Tanh(), nn.Linear(narrow, width))

        @hookimpl
        def gradcheck_register(register):
            register.model("bottleneck", bottleneck)
        """
        self._enter("model", name, factory, framework)

    def loss(self, name: str, loss: Callable[..., Any], *, framework: str = "tinytorch") -> None:
        """Register a loss: `loss(output, target, **args of the case)` returns a scalar tensor.

        from gradcheck import hookimpl

        def quartic(output, target, weight=1.0):
            return ((output - target) ** 4).mean() * weight

        @hookimpl
        def gradcheck_register(register):
            register.loss("quartic", quartic)
        """
        self._enter("loss", name, loss, framework)

    def optimizer(
        self, name: str, factory: Callable[..., Any], *, framework: str = "tinytorch"
    ) -> None:
        """Register a factory: `factory(parameters, **args)` returns an optimizer.

        An optimizer has `step()` and `zero_grad()`. A factory whose first parameter is called
        `model` gets the model instead of the list of parameters.

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
            def gradcheck_register(register):
                register.optimizer("sign_descent", SignDescent)
        """
        self._enter("optimizer", name, factory, framework)

    def step(
        self,
        name: str,
        step: Callable[..., Any],
        *,
        train: Callable[..., Any] | None = None,
        framework: str = "tinytorch",
    ) -> None:
        """Register a training step: `step(model, batch, loss)` returns the scalar loss.

        `batch` is a tuple of tensors: inputs first, the target last. The default step is
        `loss(model(*batch[:-1]), batch[-1])`. Where the samples of the dataset are dicts, `batch`
        is a dict of tensors, and the default step passes the inputs by name. The result may also
        hold the loss under the name `loss`, or be a tuple that starts with it. `own_loss` is the
        built-in step for a model that gets the target too and returns its loss. The other checks
        call the model as the step does.

        `train(model, batch, loss, optimizer)` is the whole update, from `zero_grad` to
        `optimizer.step()`, and returns the loss. The default is zero_grad, step, backward,
        optimizer.step().

            from gradcheck import hookimpl

            def with_penalty(model, batch, loss):
                x, y = batch
                penalty = sum((p * p).sum() for p in model.parameters())
                return loss(model(x), y) + 0.01 * penalty

            @hookimpl
            def gradcheck_register(register):
                register.step("with_penalty", with_penalty)
        """
        self._enter("step", name, step, framework, train=train)

    def dataset(self, name: str, factory: Callable[..., Any]) -> None:
        """Register a factory: `factory(**args)` returns a dataset.

        A dataset `d` has `len(d)`, and `d[i]` is a tuple of numpy arrays or numbers: inputs first,
        the target last; or a dict of them, of which `labels`, `label`, `targets`, `target` or `y`
        is the target, otherwise the last. A field may be None, or a tuple or dict of fields. It may
        have `source` (one line that says where the data come from) and
        `loader(batch_size, shuffle, seed)` (its own batches).

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
            def gradcheck_register(register):
                register.dataset("line", Line)
        """
        self._enter("dataset", name, factory)

    def check(self, name: str, check: Check) -> None:
        """Register a check: an object with `name`, `Options`, `applies(case)` and
        `run(subject, options)`, as `gradcheck.Check` describes it.

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
            def gradcheck_register(register):
                register.check("few_parameters", FewParameters())
        """
        self._enter("check", name, check)

    def framework(
        self, name: str, factory: Callable[[], Framework], *, module: str | None = None
    ) -> None:
        """Register a framework: `factory()` returns its adapter, and is called when first needed.

        module: the Python module of the framework. `gradcheck watch` needs the adapter once a
        script has imported it.

        `python -m gradcheck new framework NAME` writes an adapter to start from.

            from gradcheck import hookimpl

            def make_adapter():
                from my_package.adapter import Adapter

                return Adapter()

            @hookimpl
            def gradcheck_register(register):
                register.framework("my_framework", make_adapter)
        """
        self._enter("framework", name, factory, module=module)

    def fault(
        self,
        name: str,
        patch: Callable[[], AbstractContextManager[Any]],
        *,
        check: str,
        finding: str,
        case: str | None = None,
        expect: Mapping[str, Any] | None = None,
    ) -> None:
        """Register a fault: `patch()` is a context manager that plants it.

        While it is planted, `check` must fail with `finding` on `case` (YAML text with one case).
        `expect` are fields of the finding and the values that they must have.

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
            def gradcheck_register(register):
                register.fault(
                    "flipped_tanh",
                    flipped_tanh,
                    check="gradient",
                    finding="wrong_gradient",
                    case="op: tanh\\ninputs: {x: [2, 3]}",
                )
        """
        self._enter("fault", name, patch, check=check, finding=finding, case=case, expect=expect)

    def _enter(
        self, kind: str, name: str, value: Any, framework: str | None = None, **extra: Any
    ) -> None:
        called_from = where_of_frame(sys._getframe(2))  # the line that called `register.op`
        extra = {key: given for key, given in extra.items() if given is not None}
        problem = problem_with(kind, name, value, extra)
        if problem is None and kind not in SHARED and not isinstance(framework, str):
            problem = f"framework must be a registered name, got {type(framework).__name__}"
        if problem is not None:
            problem = f"{kind} {name!r} is not registered: {problem}"
            self._registry.fail(self._plugin, called_from, problem)
            return
        where = where_of(value)
        if where == UNKNOWN:
            where = called_from
        try:
            self._registry.add(Entry(kind, name, value, self._plugin, where, framework, extra))
        except ValueError as error:
            self._registry.fail(self._plugin, called_from, str(error))
