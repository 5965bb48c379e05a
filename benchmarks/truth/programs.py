"""Random programs of one to five ops, at sizes from 1e-8 to 1e8, with ties and saturations.

Every program is right: whatever is called wrong is an alarm. `undecided` is none, for at such sizes
a gradient may consist of rounding alone. With `planted`, the gradient of the same program is 1 %
too large from one op on: what passes then was not seen.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from truth.rows import Row

UNARY: dict[str, Callable[[Any, Any], Any]] = {
    **{
        name: (lambda f, x, name=name: getattr(f, name)(x))
        for name in (
            *("tanh", "sigmoid", "softplus", "relu", "leaky_relu", "silu", "erf", "gelu"),
            *("neg", "abs", "exp", "sin", "cos", "clone"),
        )
    },
    "log of a square": lambda f, x: f.log(x * x + 1e-8),
    "root of a square": lambda f, x: f.sqrt(x * x + 1.0),
    "log1p": lambda f, x: f.log1p(f.abs(x)),
    "cube": lambda f, x: f.pow(x, 3.0),
    "inverse": lambda f, x: 1.0 / (x * x + 0.1),
    "softmax": lambda f, x: f.softmax(x, -1),
    "log_softmax": lambda f, x: f.log_softmax(x, -1),
    "softmax of columns": lambda f, x: f.softmax(x, 0),
    "layer_norm": lambda f, x: f.layer_norm(x),
    "rms_norm": lambda f, x: f.rms_norm(x),
    "cumsum": lambda f, x: f.cumsum(x, -1),
    "logsumexp": lambda f, x: f.logsumexp(x, -1),
    "sum": lambda f, x: f.sum(x, 0),
    "mean": lambda f, x: f.mean(x, -1),
    "var": lambda f, x: f.var(x, 0),
    "max": lambda f, x: f.max(x, -1),
    "min": lambda f, x: f.min(x, 0),
    "transpose": lambda f, x: f.transpose(x, 0, -1),
    "flip": lambda f, x: f.flip(x, (0,)),
    "gram": lambda f, x: f.matmul(x, f.transpose(x, 0, -1)),
    "clip": lambda f, x: f.clip(x, -1.0, 1.0),
}
BINARY: dict[str, Callable[[Any, Any, Any], Any]] = {
    "add": lambda f, a, b: a + b,
    "sub": lambda f, a, b: a - b,
    "mul": lambda f, a, b: a * b,
    "div": lambda f, a, b: a / (f.abs(b) + 1e-3),
    "maximum": lambda f, a, b: f.maximum(a, b),
    "minimum": lambda f, a, b: f.minimum(a, b),
    "matmul": lambda f, a, b: f.matmul(a, f.transpose(b, 0, -1)),
}
KINDS = ("normal", "equal", "tied", "zero", "mixed", "wide")


class Program:
    """Drawn from `number` alone. fault: the step (from 0) after which the gradient is off; None."""

    def __init__(self, number: int, functions: Any, fault: bool = False) -> None:
        rng = np.random.default_rng([8, number])
        self.functions = functions
        self.steps: list[tuple[str, int | None]] = []
        for _ in range(int(rng.integers(1, 6))):
            if rng.random() < 0.3:
                self.steps.append((str(rng.choice(list(BINARY))), int(rng.integers(2))))
            else:
                self.steps.append((str(rng.choice(list(UNARY))), None))
        shape = (int(rng.integers(1, 6)), int(rng.integers(1, 6)))
        kinds = [str(rng.choice(KINDS)) for _ in range(2)]
        self.arrays = [_array(rng, shape, kind) for kind in kinds]
        self.fault = int(rng.integers(len(self.steps))) if fault else None
        self.__name__ = "program"

    def __call__(self, *leaves: Any) -> Any:
        x = leaves[0]
        for place, (name, other) in enumerate(self.steps):
            if other is None:
                x = UNARY[name](self.functions, x)
            else:
                x = BINARY[name](self.functions, x, leaves[other])
            if self.fault == place:
                x = self.functions.spoilt(x)
        return x

    def __str__(self) -> str:
        return " > ".join(name for name, _ in self.steps)


def _array(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> Any:
    size = 10.0 ** rng.uniform(-8, 8) if rng.random() < 0.7 else 1.0
    x = rng.standard_normal(shape)
    if kind == "equal":
        x = np.full(shape, x.flat[0])
    elif kind == "tied":
        x = np.round(x)
    elif kind == "zero":
        x = np.where(rng.random(shape) < 0.5, 0.0, x)
    elif kind == "mixed":
        x = x * 10.0 ** rng.uniform(-4, 4, shape)
    elif kind == "wide":
        x = x * 10.0 ** rng.uniform(-8, 8, (shape[0], 1))
    return size * x


SPOILT = 1.01


class TinyFunctions:
    """The ops of tinytorch."""

    def __init__(self) -> None:
        from tinytorch import OPS, op

        @op
        def spoilt(x):  # type: ignore[no-untyped-def]  # annotated, it would be no tensor
            return 1.0 * x, lambda g: SPOILT * g

        self.ops = dict(OPS) | {"spoilt": spoilt}

    def __getattr__(self, name: str) -> Any:
        return self.ops[name]


class TorchFunctions:
    """The same functions of PyTorch, where a function leaves no tape."""

    def __getattr__(self, name: str) -> Any:
        import torch
        from torch.nn import functional as F

        named: dict[str, Any] = {
            "clip": lambda x, low, high: torch.clamp(x, low, high),
            "max": lambda x, d: torch.amax(x, d),
            "min": lambda x, d: torch.amin(x, d),
            "layer_norm": lambda x: F.layer_norm(x, x.shape[-1:]),
            "rms_norm": lambda x: F.rms_norm(x, x.shape[-1:]),
            "spoilt": lambda x: SPOILT * x - (SPOILT * x - x).detach(),
        }
        if name in named:
            return named[name]
        return getattr(torch, name) if hasattr(torch, name) else getattr(F, name)


def rows(count: int, share: tuple[int, int], *, planted: bool = False) -> Iterator[Row]:
    """share: (k, n), every n-th program from the k-th on. Every fifth is written for PyTorch."""
    import gradcheck

    warnings.simplefilter("ignore")
    tiny, torch = TinyFunctions(), TorchFunctions()
    for number in range(share[0], count, share[1]):
        with_torch = number % 5 == 4
        program = Program(number, torch if with_torch else tiny, planted)
        framework = "pytorch" if with_torch else "tinytorch"
        with np.errstate(all="ignore"):
            try:
                found = gradcheck.check_gradients(
                    program, *program.arrays, framework=framework, seed=number
                )
            except (IndexError, ValueError, RuntimeError):
                continue  # the shapes do not fit together: no program
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
                yield Row(f"{number} {program} {framework}", "raised", said)
                continue
        codes = {f.code for f in found.findings}
        if codes & {"not_finite", "empty", "bad_dtype"}:
            continue  # outside the domain at such sizes
        outcome = "undecided" if codes == {"undecided"} else found.outcome
        said = "; ".join(f.message for f in found.findings)
        yield Row(f"{number} {program} {framework}", outcome, said)
