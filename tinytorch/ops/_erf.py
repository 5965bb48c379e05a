"""The error function on arrays, without scipy.

In double precision: rational approximations of W. J. Cody, "Rational Chebyshev approximations for
the error function", Mathematics of Computation 23 (1969), with the coefficients of his CALERF: one
for |x| <= 0.46875, and one for erfc(x) = e^(-x²) R(x) beyond.

In single precision: x R(x²), fitted on |x| <= 3.95 to the smallest largest relative error (2e-8).

Of complex numbers: the series of H. E. Salzer, "Formulas for calculating the error function of a
complex variable", Mathematical Tables and Other Aids to Computation 5 (1951); also Abramowitz and
Stegun 7.1.29. Its own error is about 1e-16 |erf z|, and the imaginary part keeps its digits however
small Im z is, which complex-step derivatives need.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinytorch.ops._pieces import piecewise

Array = NDArray[Any]

_LIMIT = 0.46875
_ONE = 6.0  # erf(x) rounds to 1 beyond

# Highest power first.
_SMALL_P = (
    1.85777706184603153e-1,
    3.16112374387056560e00,
    1.13864154151050156e02,
    3.77485237685302021e02,
    3.20937758913846947e03,
)
_SMALL_Q = (
    1.0,
    2.36012909523441209e01,
    2.44024637934444173e02,
    1.28261652607737228e03,
    2.84423683343917062e03,
)
_LARGE_P = (
    2.15311535474403846e-8,
    5.64188496988670089e-1,
    8.88314979438837594e0,
    6.61191906371416295e01,
    2.98635138197400131e02,
    8.81952221241769090e02,
    1.71204761263407058e03,
    2.05107837782607147e03,
    1.23033935479799725e03,
)
_LARGE_Q = (
    1.0,
    1.57449261107098347e01,
    1.17693950891312499e02,
    5.37181101862009858e02,
    1.62138957456669019e03,
    3.29079923573345963e03,
    4.36261909014324716e03,
    3.43936767414372164e03,
    1.23033935480374942e03,
)


_HIGHEST = 16.0  # |Im z| up to which no term of the series overflows
_SINGLE_LIMIT = 3.95  # erf(x) rounds to 1 in float32 beyond
_SINGLE_P = (
    2.0259151705928707e-6,
    2.8468781975700230e-4,
    3.8081486070146667e-3,
    5.2875407014606670e-2,
    1.9154994418202820e-1,
    1.1283791437494541e0,
)
_SINGLE_Q = (
    3.7831881952096470e-5,
    1.1707233676571490e-3,
    1.5055063313970081e-2,
    1.1455948013772235e-1,
    5.0308939384962560e-1,
    1.0,
)


def erf(x: Array) -> Array:
    """erf of every entry, in x's dtype. NaN stays NaN. Raises ValueError for |Im x| above 16."""
    x = np.asarray(x)
    if np.iscomplexobj(x):
        return _complex(x).astype(x.dtype)
    return piecewise(_single if x.dtype == np.float32 else _double, x)


def _single(x: Array) -> Array:
    x = np.clip(x, -_SINGLE_LIMIT, _SINGLE_LIMIT)
    y = np.asarray(x * _ratio(_SINGLE_P, _SINGLE_Q, x * x))
    return np.clip(y, -1, 1, out=y)


def _double(x: Array) -> Array:
    a = np.minimum(np.abs(x), _ONE)
    square = a * a
    tail = np.exp(-square)
    tail *= _ratio(_LARGE_P, _LARGE_Q, a)
    far = np.copysign(1 - tail, x)
    near = x * _ratio(_SMALL_P, _SMALL_Q, np.minimum(square, _LIMIT**2))
    return np.where(a <= _LIMIT, near, far)


def _complex(z: Array) -> Array:
    x, y = z.real.astype(np.float64), z.imag.astype(np.float64)
    height = float(np.max(np.abs(y), initial=0.0))
    if height > _HIGHEST:
        raise ValueError(f"erf of a complex number needs |imaginary part| <= 16, not {height:.3g}")
    angle = 2 * x * y
    sine, cosine = np.sin(angle), np.cos(angle)
    # (1 - cos 2xy) / 2x and sin 2xy / 2x, written so that x = 0 and tiny y are no special cases.
    real = y * np.sinc(x * y / np.pi) * np.sin(x * y)
    imag = y * np.sinc(angle / np.pi)
    for n in range(1, int(2 * height) + 14):  # the largest term is the one nearest n = 2 |y|
        weight = 2 * np.exp(-n * n / 4) / (n * n + 4 * x * x)
        even, odd = 2 * x * np.cosh(n * y), n * np.sinh(n * y)
        real += weight * (2 * x - even * cosine + odd * sine)
        imag += weight * (even * sine + odd * cosine)
    scale = np.exp(-x * x) / np.pi
    return np.asarray(_double(x) + scale * real + 1j * (scale * imag))


def _ratio(p: tuple[float, ...], q: tuple[float, ...], x: Array) -> Array:
    return _polynomial(p, x) / _polynomial(q, x)


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """Horner's rule, in place."""
    result = coefficients[0] * x
    for c in coefficients[1:-1]:
        result += c
        result *= x
    result += coefficients[-1]
    return result
