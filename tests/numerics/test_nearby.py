"""Ties are excused, and nothing that only lies beside one."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck.numerics.core.verdict import RIGHT, WRONG, Comparison
from gradcheck.numerics.ops.batching import BatchedOp
from gradcheck.numerics.ops.local import InputVerdict
from gradcheck.numerics.ops.nearby import excuse


class Sort:
    """A recorded call of a sort, as far as it is asked here."""

    name, attrs, input_names = "sort", {}, ("x",)

    def run(self, inputs):
        return np.sort(inputs[0])


X = np.array([0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 1.3, 2.1, -0.4])
COTANGENT = np.linspace(1.0, 2.0, X.size) ** 2
BACKWARDS = np.array([*COTANGENT[6:0:-1], *COTANGENT[7:], COTANGENT[0]])
"""The gradient when the six ties are broken backwards."""


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("factor", [1.0, 1 + 1e-6])
def test_a_small_error_beside_a_tie_is_not_excused_with_it(factor, seed):
    analytic = BACKWARDS * factor
    numeric = COTANGENT[np.argsort(np.argsort(X, kind="stable"))]
    wrong = np.abs(analytic - numeric) > 1e-9
    zeros = np.zeros(X.size)
    state = np.where(wrong, WRONG, RIGHT).astype(np.int8)
    outcome = Comparison(analytic, numeric, zeros, zeros, state, np.abs(analytic), zeros)
    call = Sort()
    verdict = InputVerdict(call, 0, outcome, True, 0, X.size, None, zeros)
    excuse(verdict, BatchedOp(call, [X], np.sort(X)), COTANGENT, np.random.default_rng(seed))
    still = {int(i) for i in outcome.wrong}
    assert still == (set() if factor == 1.0 else {6, 7, 8})
