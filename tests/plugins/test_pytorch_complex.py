"""Complex tensors, by their real and imaginary parts: the gradient is dL/dRe + i dL/dIm."""

from __future__ import annotations

import numpy as np
import pytest

import gradcheck
from tests.support.results import codes

torch = pytest.importorskip("torch")


def square(right):
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, z):
            ctx.save_for_backward(z)
            return z * z

        @staticmethod
        def backward(ctx, g):
            (z,) = ctx.saved_tensors
            return g * 2 * (z.conj() if right else z)

    return Square


def complex_numbers(*shape):
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(1))


RIGHT = {
    "abs": (torch.abs, complex_numbers(3, 4)),
    "conj": (lambda z: z.conj() * z * 1j, complex_numbers(3)),
    "a real input": (torch.fft.rfft, torch.linspace(-1, 2, 6, dtype=torch.float64)),
    "solve": (lambda a: torch.linalg.solve(a, complex_numbers(3)), complex_numbers(3, 3)),
    "by hand": (square(right=True).apply, complex_numbers(2, 3)),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_complex_functions_pass(name):
    function, z = RIGHT[name]
    result = gradcheck.check_gradients(function, z)
    assert codes(result) == []
    assert result.measurements["entries_verified"] == z.numel() * (1 + z.is_complex())


def test_a_forgotten_conjugate_is_found_at_the_part_of_the_number():
    result = gradcheck.check_gradients(square(right=False).apply, complex_numbers(2, 3))
    assert codes(result)[0] == "wrong_gradient"
    assert len(result.findings[0].index) == 3


@pytest.mark.parametrize("right", [True, False])
def test_complex_parameters(right):
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(complex_numbers(3, 3).to(torch.complex64))

        def forward(self, z):
            return square(right).apply(z @ self.weight)

    found = gradcheck.check_gradients(
        Model(), complex_numbers(2, 3), loss=lambda output: (output.abs() ** 2).mean()
    )
    assert codes(found) == ([] if right else ["wrong_gradient"])


def test_a_complex_array_of_numpy():
    z = np.array([1 + 2j, 3 - 1j])
    assert codes(gradcheck.check_gradients(lambda z: z.abs(), z, framework="pytorch")) == []


def test_a_framework_without_complex_tensors_says_so():
    with pytest.raises(TypeError, match="not an array of real numbers"):
        gradcheck.check_gradients(lambda z: z, np.array([1 + 2j]), framework="tinytorch")
