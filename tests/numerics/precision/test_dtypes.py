"""Rounding to a dtype is what PyTorch's casts do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.numerics.precision.dtypes import EPS, LOW_DTYPES, quantise

torch = pytest.importorskip("torch")

NUMBERS = st.lists(st.floats(width=32, allow_nan=True, allow_infinity=True), min_size=1)


@pytest.mark.parametrize("dtype", LOW_DTYPES)
@given(numbers=NUMBERS)
def test_equals_a_cast(dtype, numbers):
    array = np.array(numbers, dtype=np.float64)
    cast = torch.tensor(array).float().to(getattr(torch, dtype)).double().numpy()
    np.testing.assert_array_equal(quantise(array, dtype), cast)


@pytest.mark.parametrize("dtype", LOW_DTYPES)
def test_eps_is_torchs(dtype):
    assert EPS[dtype] == torch.finfo(getattr(torch, dtype)).eps


def test_whole_numbers_stay():
    ids = np.array([1, 2, 3])
    assert quantise(ids, "bfloat16") is ids
