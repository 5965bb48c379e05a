"""A small registry by hand: these tests are about files, not about what ships."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field, field_validator

from gradcheck.checks.base import Options, needs_model, needs_training
from gradcheck.names.registry import SHARED, Entry, Registry
from gradcheck.result import Result
from gradcheck.yamlcases.case import Case
from gradcheck.yamlcases.load import CaseFile, load_text

HEAD = "schema: 1\ncases:\n"
MODEL = """\
  m:
    model: mlp
    args: {sizes: [4, 2]}
    data: digits
    loss: mse
    optimizer: adam
"""
GOOD = "  good:\n    op: tanh\n    inputs: {x: [2, 5]}\n"


class NoOptions(Options):
    pass


class GradientOptions(Options):
    tolerance: float | None = Field(None, gt=0, description="Relative error that is accepted.")
    exhaustive: bool = Field(False, description="Perturb every element end to end.")


class OverfitOptions(Options):
    steps: int = Field(60, ge=1, le=10_000, description="Training steps.")
    below: float | None = Field(None, gt=0, description="Loss to reach.")
    sweep: Literal["short", "long"] = Field("short", description="How many rates to try.")


class FragileOptions(Options):
    """With a validator that breaks, as a plugin's may."""

    level: int = Field(0, description="Breaks when it is not 0.")

    @field_validator("level")
    @classmethod
    def _break(cls, value: int) -> int:
        return value and {}["missing"]


class Shelved:
    """A check that is never run here."""

    def __init__(self, name: str, options: type[Options], applies: Callable[[Case], str | None]):
        self.name = name
        self.Options = options
        self.applies = applies

    def run(self, subject: Any, options: Any) -> Result:
        raise NotImplementedError


def tanh(x: Any) -> Any: ...
def layer_norm(x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any: ...
def concat(dim: int = 0, *arrays: Any) -> Any: ...
def mlp(sizes: list[int], activation: str = "tanh") -> Any: ...
def anything(**keywords: Any) -> Any: ...
def cross_entropy(output: Any, target: Any, weight: Any = None) -> Any: ...
def mse(output: Any, target: Any) -> Any: ...
def adam(parameters: Any, lr: float = 1e-3, betas: Any = (0.9, 0.999)) -> Any: ...
def sgd(parameters: Any, lr: float = 1e-3, momentum: float = 0.0) -> Any: ...
def digits(flat: bool = True) -> Any: ...
def iris() -> Any: ...
def own_step(model: Any, batch: Any, loss: Any) -> Any: ...


THINGS: dict[str, list[Any]] = {
    "op": [tanh, layer_norm, concat],
    "model": [mlp, anything],
    "loss": [cross_entropy, mse],
    "optimizer": [adam, sgd],
    "dataset": [digits, iris],
    "step": [own_step],
}
CHECKS = [
    Shelved("gradient", GradientOptions, lambda case: None),
    Shelved("graph", NoOptions, needs_model),
    Shelved("overfit", OverfitOptions, needs_training),
    Shelved("updates", NoOptions, needs_training),
]


FRAGILE = Shelved("fragile", FragileOptions, lambda case: None)


def make_registry() -> Registry:
    registry = Registry()
    registry.add(Entry("framework", "tinytorch", object, "shelf", "shelf.py:1"))
    registry.add(Entry("framework", "other", object, "shelf", "shelf.py:1"))
    for kind, things in THINGS.items():
        for thing in things:
            owner = None if kind in SHARED else "tinytorch"
            registry.add(Entry(kind, thing.__name__, thing, "shelf", "shelf.py:1", owner))
    registry.add(Entry("op", "relu", tanh, "shelf", "shelf.py:1", "other"))
    for check in CHECKS:
        registry.add(Entry("check", check.name, check, "shelf", "shelf.py:1"))
    return registry


REGISTRY = make_registry()


def load(text: str | bytes) -> CaseFile:
    return load_text(text, REGISTRY, file="cases/a.yaml")


def messages(text: str | bytes) -> list[str]:
    """The errors of a file without its name: 'line:column: sentence'."""
    return [str(e).removeprefix("cases/a.yaml:") for e in load(text).errors]


def only(text: str | bytes) -> Case:
    """The one case of a file that has no error."""
    loaded = load(text)
    assert loaded.errors == ()
    (case,) = loaded.cases
    return case
