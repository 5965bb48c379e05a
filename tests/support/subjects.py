"""Building cases and running checks in a test, without files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.engine import run_check
from gradcheck.names.load import load
from gradcheck.names.registry import KINDS, SHARED, Entry, Registry
from gradcheck.result import Result
from gradcheck.yamlcases.case import Case, DataSpec, Named


class Arrays:
    """A data set of arrays: sample i is entry i of each."""

    def __init__(self, *arrays: Any) -> None:
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, i: int) -> tuple[Any, ...]:
        return tuple(a[i] for a in self.arrays)


def images(count: int = 64, classes: int = 5, features: int = 8) -> Arrays:
    rng = np.random.default_rng(3)
    return Arrays(
        rng.standard_normal((count, features)).astype("f4"), rng.integers(0, classes, count)
    )


def texts(count: int = 32, length: int = 7, vocab: int = 11, shift: int = 1) -> Arrays:
    """Ids (count, length), and the same `shift` later."""
    ids = np.random.default_rng(4).integers(0, vocab, (count, length + 6))
    return Arrays(ids[:, :length], ids[:, shift : length + shift])


class Bench:
    """A registry with the built-in things, and what a test adds."""

    def __init__(self) -> None:
        self._builtin = load(entry_points=False)
        self._own: dict[tuple[str, str], Entry] = {}
        self.data("images", images)
        self.data("texts", texts)

    def add(self, kind: str, name: str, value: Any, **extra: Any) -> None:
        owner = None if kind in SHARED else "tinytorch"
        self._own[kind, name] = Entry(kind, name, value, "test", "here:1", owner, extra)

    @property
    def registry(self) -> Registry:
        """A new one: what the test adds replaces a thing of the same kind and name."""
        made = Registry()
        for kind in KINDS:
            for entry in self._builtin.entries(kind):
                if (kind, entry.name) not in self._own:
                    made.add(entry)
        for entry in self._own.values():
            made.add(entry)
        return made

    def data(self, name: str, factory: Callable[..., Any]) -> None:
        self.add("dataset", name, factory)

    def run(
        self,
        check: str,
        model: Callable[..., Any] | None = None,
        *,
        data: str = "images",
        batch: int = 8,
        loss: Any = "cross_entropy",
        optimizer: dict[str, Any] | None = None,
        step: Callable[..., Any] | None = None,
        train: Callable[..., Any] | None = None,
        shuffle: bool = True,
        data_args: dict[str, Any] | None = None,
        loss_args: dict[str, Any] | None = None,
        seed: int = 0,
        training: bool = True,
        dtype: str = "float32",
        **options: Any,
    ) -> Result:
        """One check of a case made of these; a callable loss, step or model is registered first."""
        if model is not None:
            self.add("model", "model_here", model)
        if callable(loss):
            self.add("loss", "loss_here", loss)
            loss = "loss_here"
        if step is not None:
            self.add("step", "step_here", step, train=train)
        case = Case(
            name="case",
            model="model_here",
            data=DataSpec(name=data, batch=batch, shuffle=shuffle, **(data_args or {})),
            loss=Named(name=loss, **(loss_args or {})),
            optimizer=Named(**(optimizer or {"name": "adam", "lr": 0.01})),
            step="step_here" if step is not None else None,
            checks={check: options},
            seed=seed,
            training=training,
            dtype=dtype,
        )
        return run_check(case, check, self.registry)
