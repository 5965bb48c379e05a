"""Faults of learning rates, of optimizers, and of the list of parameters that they are given."""

# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tinytorch import Tensor, optim

from .planting import Fault, Planter, in_function, replaced
from .subjects import Residual
from .training import DECAYING, DIGITS, LEARNS

PLAIN = DIGITS.replace("{name: adam, lr: 0.01}", "{name: sgd, lr: 0.1}")
PLAIN += "checks: {overfit: {steps: 60}}"
MOMENTUM = DIGITS.replace("{name: adam, lr: 0.01}", "{name: sgd, lr: 0.1, momentum: 0.9}")


def at_rate(name: str, factor: float) -> Planter:
    """The rate of the case times `factor`."""
    return lambda: _rated(name, factor)


@contextmanager
def _rated(name: str, factor: float) -> Iterator[None]:
    owner = getattr(optim, name)
    original = owner.__init__

    def init(self: Any, params: Any, lr: float = 0.0, **options: Any) -> None:
        original(self, params, lr * factor, **options)

    with replaced(owner, "__init__", init)():
        yield


def _optimized(wrong: Any) -> Planter:
    """`parameters()` of the model, which the optimizer is given, is another list."""
    return replaced(Residual, "parameters", wrong)


def all_but_the_head(self: Any, recurse: bool = True) -> Iterator[Tensor]:
    head = {id(p) for p in self.head.__dict__.values() if isinstance(p, Tensor)}
    head |= {id(self.head.weight), id(self.head.bias)}
    return (p for p in super(Residual, self).parameters(recurse) if id(p) not in head)


def weights_only(self: Any, recurse: bool = True) -> Iterator[Tensor]:
    return (p for p in super(Residual, self).parameters(recurse) if p.ndim > 1)


def head_twice(self: Any, recurse: bool = True) -> Iterator[Tensor]:
    yield from super(Residual, self).parameters(recurse)
    yield self.head.weight


@contextmanager
def holds_copies() -> Iterator[None]:
    """The optimizer moves copies of the parameters."""
    original = optim.Adam.__init__

    def init(self: Any, params: Any, *args: Any, **options: Any) -> None:
        copies = []
        for p in params:
            copy = Tensor(p.data.copy(), requires_grad=True)
            copies.append(copy)
        original(self, copies, *args, **options)

    with replaced(optim.Adam, "__init__", init)():
        yield


def _adam(*changes: tuple[str, str]) -> Planter:
    return in_function(optim.Adam, "update", *changes)


def faults() -> list[Fault]:
    formula = "optimizer_formula"
    return [
        Fault("rate_a_millionth", at_rate("Adam", 1e-4), LEARNS, "overfit", "lr_too_low"),
        Fault("rate_of_a_hundred", at_rate("SGD", 1000.0), PLAIN, "overfit", "lr_too_high"),
        Fault("rate_of_zero", at_rate("Adam", 0.0), DIGITS, "updates", "not_moved"),
        Fault("rate_a_hundredth", at_rate("Adam", 1e-2), LEARNS, "overfit", "lr_too_low"),
        # optimizers
        Fault("layer_not_in_optimizer", _optimized(all_but_the_head), DIGITS, "updates",
              "not_in_optimizer", {"parameter": "head.weight"}),
        Fault("biases_not_in_optimizer", _optimized(weights_only), DIGITS, "updates",
              "not_in_optimizer", {"parameter": "first.bias"}),
        Fault("layer_not_in_parameters", _optimized(all_but_the_head), DIGITS, "graph",
              "not_in_parameters", {"parameter": "head.weight"}),
        Fault("parameter_listed_twice", _optimized(head_twice), DIGITS, "graph",
              "registered_twice", {"parameter": "head.weight"}),
        Fault("optimizer_holds_copies", holds_copies, DIGITS, "updates", "not_in_optimizer"),
        Fault("adam_without_bias_correction",
              _adam(("lr / (1 - beta1**step)", "lr"), ("1 / math.sqrt(1 - beta2**step)", "1.0")),
              DIGITS, "updates", formula),
        Fault("adam_second_moment_uncorrected", _adam(("1 / math.sqrt(1 - beta2**step)", "1.0")),
              DIGITS, "updates", formula),
        Fault("adam_without_root", _adam(("np.sqrt(v, out=d)", "d[...] = v")), DIGITS, "updates",
              formula),
        Fault("adam_step_not_counted", _adam(('state.get("step", 0) + 1', "1")), DIGITS, "updates",
              formula),
        Fault("adam_betas_swapped", _adam(("beta1, beta2 =", "beta2, beta1 =")), DIGITS, "updates",
              formula),
        Fault("adam_moments_shared",
              _adam(("state = self.state_of(p, *names)",
                     "state = self.state.setdefault(('shared', p.shape), self.state_of(p, *names))")),
              DIGITS, "updates", formula),
        Fault("adam_epsilon_inside_the_root",
              _adam(("np.sqrt(v, out=d)", "np.sqrt(v + 1e-4, out=d)")), DIGITS, "updates", formula),
        Fault("decay_through_the_gradient", _adam(("decay and self.decoupled", "False")), DECAYING,
              "updates", formula),
        Fault("decay_missing", _adam(("w *= 1 - lr * decay", "pass")), DECAYING, "updates", formula),
        Fault("decay_without_rate", _adam(("1 - lr * decay", "1 - decay")), DECAYING, "updates",
              formula),
        Fault("momentum_forgotten", in_function(optim.SGD, "update", ("b *= momentum", "b *= 0")),
              MOMENTUM, "updates", formula),
        Fault("momentum_dampened",
              in_function(optim.SGD, "update", ("b += keep * g", "b += (1 - momentum) * g")),
              MOMENTUM, "updates", formula),
        Fault("steps_uphill", _adam(("w -= d", "w += d")), DIGITS, "updates", formula),
        Fault("steps_uphill_in_training", _adam(("w -= d", "w += d")), LEARNS, "overfit",
              "climbs"),
        Fault("decay_in_percent", _adam(("1 - lr * decay", "1 - 100 * lr * decay")),
              DECAYING + "checks: {overfit: {steps: 60, below: 0.5}}", "overfit",
              "decay_dominates"),
    ]  # fmt: skip
