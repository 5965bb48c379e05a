"""The distribution function of the standard normal, on arrays.

In double precision the tail P(X > a) = e^(-a²/2) R(a), a >= 0, with one rational R for all a:
fitted on 0 <= a <= 8.5, beyond which the tail is less than a rounding of 1, to the smallest largest
error of e^(-a²/2) R(a), which is 4e-17. Half as many steps as through erf, whose small values
must be right relative to themselves.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinytorch.ops._erf import erf
from tinytorch.ops._pieces import piecewise

Array = NDArray[Any]

_ZERO = 40.0  # the tail is zero beyond

# Highest power first.
_P = (
    8.005630556944385e-05,
    0.0015901266092639235,
    0.014471590587685306,
    0.0769981220923837,
    0.2544771833855246,
    0.5022757823954647,
    0.5,
)
_Q = (
    0.0002006677119627895,
    0.003986008879670456,
    0.03647246651290122,
    0.19703282205423897,
    0.6733507286425521,
    1.447090323215266,
    1.802436125593805,
    1.0,
)


def normal_cdf(x: Array) -> Array:
    """P(X <= x) of every entry, in x's dtype. NaN stays NaN.

    The absolute error is at most one rounding of 1. For complex x see `erf`.
    """
    if x.dtype == np.float64:
        return piecewise(_double, x)
    return piecewise(lambda x: 0.5 * (1 + erf(x * math.sqrt(0.5))), x)


def _double(x: Array) -> Array:
    a = np.minimum(np.abs(x), _ZERO)
    p = _P[0] * a
    q = _Q[0] * a
    q += _Q[1]
    q *= a
    for c, d in zip(_P[1:-1], _Q[2:-1]):
        p += c
        p *= a
        q += d
        q *= a
    p += _P[-1]
    q += _Q[-1]
    p /= q
    a *= a
    a *= -0.5
    p *= np.exp(a, out=a)
    return np.where(x < 0, p, 1 - p)
