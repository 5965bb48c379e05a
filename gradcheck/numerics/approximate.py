"""Backwards that are approximate on purpose: errors up to a declared share are no findings.

A solver stops at its tolerance, an adjoint integrates backwards in time, a special function is a
rational approximation. The share is of the largest entry of a gradient (along a direction, of the
slope's size), since such errors do not shrink with the entry.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics.core.verdict import RIGHT, Comparison
from gradcheck.numerics.end_to_end.endtoend import EndToEnd
from gradcheck.numerics.ops.local import InputVerdict
from gradcheck.numerics.ops.pullback import Breach
from gradcheck.result import Finding

ALL = ""
"""The share of ops that have none of their own, and of leaves."""


class Approximate:
    """Declared tolerances, and the largest error that one of them has excused."""

    def __init__(self, shares: Mapping[str, float]) -> None:
        self.shares = dict(shares)
        self.largest: dict[str, float] = {}

    def share(self, op: str | None) -> float:
        """Of an op; None: of leaves, which all ops add to."""
        if op is None:
            return max(self.shares.values(), default=0.0)
        return self.shares.get(op, self.shares.get(ALL, 0.0))

    def tolerate(self, verdict: InputVerdict) -> None:
        """Take what lies within the share out of the wrong entries of an op's input."""
        outcome = verdict.outcome
        scale: Array | float = outcome.scale
        if verdict.exhaustive:
            known = np.abs(outcome.numeric[np.isfinite(outcome.numeric)])
            scale = float(known.max(initial=0.0))
        self._excuse(outcome, scale, self.share(verdict.call.name), verdict.call.name)

    def tolerate_leaves(self, found: EndToEnd) -> None:
        """The same of leaves along directions. A leaf with a direction beyond the share stays."""
        outcome = found.outcome
        before = set(found.wrong)
        self._excuse(outcome, outcome.scale, self.share(None), "end to end")
        found.wrong = list(dict.fromkeys(found.names[i] for i in outcome.wrong))
        cleared = before - set(found.wrong)
        found.faults = [f for f in found.faults if f.name not in cleared]

    def allows(self, op: str, breach: Breach) -> bool:
        """Whether a law is broken by no more than the share."""
        return self._within(breach.got, breach.expected, op)

    def allows_finding(self, finding: Finding) -> bool:
        """Whether what a finding about the whole backward compares lies within the share."""
        return finding.code == "not_linear" and self._within(
            finding.analytic, finding.numeric, finding.op
        )

    def notes(self) -> list[str]:
        """How large the largest error was."""
        if not self.shares:
            return []
        if not self.largest:
            return ["`approximate` is declared, and no error needed it"]
        where, error = max(self.largest.items(), key=lambda item: item[1])
        declared = self.share(None if where == "end to end" else where)
        return [
            f"approximate: the largest error was {error:.1e} ({where}), {declared:g} is declared"
        ]

    def _excuse(self, outcome: Comparison, scale: Array | float, share: float, where: str) -> None:
        if not share:
            return
        wrong = outcome.wrong
        outcome.limit[:] = np.maximum(outcome.limit, share * scale)  # less is no finding now
        with np.errstate(all="ignore"):
            errors = (np.abs(outcome.analytic - outcome.numeric) / scale)[wrong]
        fine = errors <= share
        outcome.state[wrong[fine]] = RIGHT
        if fine.any():
            self._note(where, float(errors[fine].max()))

    def _within(self, got: float | None, expected: float | None, op: str | None) -> bool:
        if got is None or expected is None or got == expected:
            return False
        error = abs(got - expected) / max(abs(got), abs(expected))
        if not error <= self.share(op):
            return False
        self._note(op or "end to end", error)
        return True

    def _note(self, where: str, error: float) -> None:
        self.largest[where] = max(self.largest.get(where, 0.0), error)
