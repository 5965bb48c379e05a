"""The checks in a test function: each raises an AssertionError whose message is the failure text.

    def test_square():
        gradcheck.assert_gradients(Square.apply, x)

    def test_net():
        gradcheck.assert_trains(net, (x, y), cross_entropy, Adam(net.parameters(), lr=1e-3))

They raise, instead of using `assert`: so they work under `python -O`, which removes asserts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gradcheck.api.functions import gradient_of
from gradcheck.api.subjects import framework_of, name_of, subject_of
from gradcheck.api.trains import trains
from gradcheck.checks.model.reference import compared, unmatched
from gradcheck.frameworks.protocol import Framework, Output
from gradcheck.result import Result

Told = Callable[[str, str, Result], None]
"""told(subject, check, result): hears of every result, also of those that passed."""


class Assertions:
    """The three functions. told: hears of every result. seed: in place of 0."""

    def __init__(self, told: Told | None = None, seed: int = 0) -> None:
        self._told = told
        self._seed = seed

    def assert_gradients(
        self,
        fn: Any,
        *inputs: Any,
        kwargs: Mapping[str, Any] | None = None,
        loss: Callable[[Output], Output] | None = None,
        framework: str | Framework | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> Result:
        """Raise AssertionError unless every gradient of a function or model is right.

        Arguments as of `gradcheck.check_gradients`; the result is returned when it passed.
        """
        __tracebackhide__ = True
        result = gradient_of(
            fn,
            inputs,
            kwargs=kwargs,
            loss=loss,
            framework=framework,
            seed=self._seed if seed is None else seed,
            options=options,
            who="assert_gradients",
        )
        self._conclude(name_of(fn), [("gradient", result)])
        return result

    def assert_trains(
        self,
        model: Any,
        batch: Any,
        loss: Callable[..., Output] | None,
        optimizer: Any,
        step: Callable[..., Output] | None = None,
        *,
        framework: str | Framework | None = None,
        seed: int | None = None,
        **options: Mapping[str, Any] | bool,
    ) -> dict[str, Result]:
        """Raise AssertionError unless the model can be trained: `graph`, `gradient`, `updates` and
        `overfit`, in this order. What depends on a check that failed is not judged.

        model: copied first; the caller's own is not touched. batch: the inputs and then the target,
        tensors or arrays; with a `step` also a dict. loss: called with the output and the target.
        optimizer: one that holds the model's parameters, or a function that makes one from
        parameters. step: step(model, batch, loss) -> the loss, where that is not
        loss(model(*inputs), target); or step(model, batch, loss, optimizer), a whole training step.
        options: of the checks, such as overfit={"steps": 200}; False leaves a check out.

        Returns the results by check. Raises TypeError or ValueError for arguments that make no
        sense.
        """
        __tracebackhide__ = True
        found = trains(
            model,
            batch,
            loss,
            optimizer,
            step,
            adapter=framework_of(framework, model, _parts(batch)),
            seed=self._seed if seed is None else seed,
            options=options,
        )
        return self._conclude(name_of(model), found)

    def assert_same_gradients(
        self,
        fn: Any,
        reference: Any,
        *inputs: Any,
        rename: Mapping[str, str] | None = None,
        framework: str | Framework | None = None,
        seed: int | None = None,
    ) -> Result:
        """Raise AssertionError unless `fn` and `reference`, two functions or two models, give the
        same output and the same gradients for the same inputs, up to rounding.

        Models get the weights of `fn`, matched by name; rename: parameter of `fn` -> parameter of
        `reference`. Both are run in the widest dtype of the framework, models in eval mode. This
        sees what differences cannot: the right gradient of the wrong function.
        """
        __tracebackhide__ = True
        result = _same(fn, reference, inputs, rename or {}, framework, seed or self._seed)
        self._conclude(name_of(fn), [("reference", result)])
        return result

    def _conclude(self, subject: str, found: Iterable[tuple[str, Result]]) -> dict[str, Result]:
        """Tell of each result as it comes; raise if one of them failed."""
        __tracebackhide__ = True
        results: dict[str, Result] = {}
        for check, result in found:
            results[check] = result
            if self._told is not None:
                self._told(subject, check, result)
        wrong = [str(r) for r in results.values() if r.outcome == "failed"]
        if wrong:
            raise AssertionError("\n".join([*wrong, *_left_out(results)]))
        return results


def _left_out(results: Mapping[str, Result]) -> list[str]:
    """One line on the checks that were not judged, by reason."""
    by_reason: dict[str, list[str]] = {}
    for check, result in results.items():
        if result.reason is not None:
            by_reason.setdefault(result.reason, []).append(check)
    return [f"{', '.join(checks)}: {reason}" for reason, checks in by_reason.items()]


def _parts(batch: Any) -> Sequence[Any]:
    if isinstance(batch, Mapping):
        return tuple(batch.values())
    return tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)


def _same(
    fn: Any,
    reference: Any,
    inputs: Sequence[Any],
    rename: Mapping[str, str],
    framework: str | Framework | None,
    seed: int,
) -> Result:
    who = "assert_same_gradients"
    mine, other = (
        subject_of(f, inputs, framework=framework, seed=seed, who=who) for f in (fn, reference)
    )
    title = f"{mine.name}::reference"
    if mine.is_op is not other.is_op:
        raise TypeError(
            f"{who}: {mine.name} and {other.name} must both be functions, or both models"
        )
    names = {n: rename.get(n, n) for n in mine.leaves}
    for subject in (mine, other):
        if not subject.is_op:  # dropout masks of two implementations have nothing in common
            subject.framework.train_mode(subject.model, False)
    findings = list(unmatched(mine, other, names))
    if findings:
        return Result(findings=tuple(findings), title=title)
    for name, theirs in names.items():
        other.set(theirs, mine.get(name))
    shape = mine.value(mine.forward()).shape
    cotangent = np.random.default_rng(seed).standard_normal(shape)
    found = compared(mine, other, names, cotangent)
    return Result(findings=found.findings, measurements=found.measurements, title=title)


_plain = Assertions()
assert_gradients = _plain.assert_gradients
assert_trains = _plain.assert_trains
assert_same_gradients = _plain.assert_same_gradients
