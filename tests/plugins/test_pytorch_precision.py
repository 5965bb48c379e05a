"""`check_precision` on PyTorch kernels: planted faults in each dtype, and right twins."""

from __future__ import annotations

import ctypes

import pytest

import gradcheck

torch = pytest.importorskip("torch")
F = torch.nn.functional
DTYPES = ("float32", "float16", "bfloat16")


def silu(fault=None):
    """A kernel with float32 inside, as kernels are, and `fault(ctx, gradient)` in its backward."""

    class Silu(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return F.silu(x)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            wide = x if x.dtype == torch.float64 else x.float()
            s = torch.sigmoid(wide)
            gradient = g.to(wide.dtype) * (s + wide * s * (1 - s))
            if fault is not None and x.dtype != torch.float64:
                gradient = fault(x, g, gradient)
            return gradient.to(x.dtype)

    return Silu.apply


def checked(kernel, *, dtypes=DTYPES, reference=F.silu, seed=0, **options):
    x = torch.randn(64, 64, generator=torch.Generator().manual_seed(seed))
    return gradcheck.check_precision(
        kernel, x, reference=reference, dtypes=dtypes, seed=seed, **options
    )


def codes(result):
    return [f.code for f in result.findings]


# --- numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_a_right_kernel_passes(seed):
    result = checked(silu(), seed=seed)
    assert result.outcome == "passed", result.findings
    seen = result.measurements["smallest_factor_seen"]
    assert seen["float32"] < 3e-7
    assert seen["float16"] < 3e-4
    assert seen["bfloat16"] < 2e-3


@pytest.mark.parametrize(
    ("dtype", "factor"), [("float32", 1 + 3e-7), ("float16", 1.0003), ("bfloat16", 1.002)]
)
def test_a_small_factor_is_seen(dtype, factor):
    def fault(x, g, gradient):
        return gradient.double() * factor

    result = checked(silu(fault), dtypes=[dtype], memory=False)
    assert codes(result) == ["wrong_gradient"]
    assert result.findings[0].data["kind"] == "factor"
    assert result.findings[0].data["factor"] == pytest.approx(factor, rel=0.4 * (factor - 1))


def row(x, g, gradient):
    gradient[3] *= 1.02
    return gradient


def last_block(x, g, gradient):
    gradient[:, -8:] = 0
    return gradient


@pytest.mark.parametrize(("fault", "place"), [(row, "index 3 of axis 0"), (last_block, "56:64")])
def test_a_wrong_part_is_named(fault, place):
    result = checked(silu(fault))
    assert codes(result) == ["wrong_gradient"]
    (finding,) = result.findings
    assert place in finding.message
    assert "the same in float16 and bfloat16" in finding.lines


def test_a_table_by_dtype_is_seen_in_its_dtype_alone():
    def halved(x, g, gradient):
        return gradient / 2 if x.dtype == torch.float16 else gradient

    result = checked(silu(halved))
    assert [f.data["dtype"] for f in result.findings] == ["float16"]
    assert "also" not in result.findings[0].data


def test_a_missing_term_is_seen_beside_the_reference():
    """A term at right angles to the gradient: without it the factor is still 1."""

    class Norm(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = F.layer_norm(x, x.shape[-1:])
            ctx.save_for_backward(x)
            return y

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            std = torch.sqrt(x.var(-1, unbiased=False, keepdim=True) + 1e-5)
            return (g - g.mean(-1, keepdim=True)) / std

    def reference(x):
        return F.layer_norm(x, x.shape[-1:])

    result = checked(Norm.apply, reference=reference, dtypes=["bfloat16"])
    assert codes(result) == ["imprecise"]


def test_what_overflows_in_half_alone_is_a_finding():
    def squares(x):
        return (x * 300) ** 2 / 9e4

    result = checked(squares, reference=lambda x: x**2)
    assert codes(result) == ["wrong_result"]
    assert result.findings[0].data["dtype"] == "float16"


def test_random_kernels_are_not_compared():
    result = checked(lambda x: F.dropout(x, 0.5), reference=None)
    assert result.outcome == "skipped"
    assert "random numbers" in result.reason


def test_a_wrong_dtype_is_a_sentence():
    with pytest.raises(ValueError, match=r"check_precision: dtypes must be .* not 'half'"):
        checked(silu(), dtypes=["half"])


# --- memory -----------------------------------------------------------------------------------


def beyond(x):
    """The number behind the last one of `x`."""
    return ctypes.c_float.from_address(x.data_ptr() + 4 * x.numel())


def writes_cotangent(x, g, gradient):
    g.mul_(2)
    return gradient


def writes_input(x, g, gradient):
    x.data.mul_(2)
    return gradient


def writes_outside(x, g, gradient):
    beyond(x).value = 0.0
    return gradient


def reads_outside(x, g, gradient):
    gradient[-1, -1] += beyond(x).value
    return gradient


def unwritten(x, g, gradient):
    result = torch.empty_like(gradient)
    result[:-1] = gradient[:-1]
    return result


def not_zero(x, g, gradient):
    return gradient + 1e-3


class Latest:
    """A kernel that keeps its latest input in a buffer of its own."""

    x = None


def depends_on_order():
    class Kept(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            Latest.x = x.detach()
            return x * x

        @staticmethod
        def backward(ctx, g):
            return 2 * g * Latest.x

    return Kept.apply


def reuses_output():
    buffers = {}

    class Reused(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            out = buffers.setdefault((x.shape, x.dtype), torch.empty_like(x))
            torch.mul(x.detach(), 2, out=out)
            return out.detach()

        @staticmethod
        def backward(ctx, g):
            return 2 * g

    return Reused.apply


@pytest.mark.parametrize(
    ("kernel", "code"),
    [
        (silu(writes_cotangent), "writes_cotangent"),
        (silu(writes_input), "writes_input"),
        (silu(writes_outside), "writes_outside"),
        (silu(reads_outside), "reads_outside"),
        (silu(unwritten), "reads_unwritten"),
        (silu(not_zero), "not_zero"),
        (depends_on_order(), "depends_on_order"),
        (reuses_output(), "reuses_output"),
    ],
)
def test_a_kernel_that_leaves_its_memory_is_found(kernel, code):
    result = checked(kernel, reference=None, dtypes=["float32"], draws=4)
    assert code in codes(result), result.findings


@pytest.mark.parametrize(
    "kernel",
    [
        torch.relu,
        lambda x: x.softmax(-1),
        lambda x: x.cumsum(0),
        lambda x: x[:, ::2],
        lambda x: x.expand(2, 64, 64),
        lambda x: torch.zeros_like(x).index_add(0, torch.arange(64) % 7, x),
        lambda x: x.view(32, -1),
        lambda x: F.max_pool1d(x, 3),
        lambda x: x.clone().mul_(2),
    ],
)
def test_kernels_of_torch_keep_to_their_memory(kernel):
    result = checked(kernel, reference=None, dtypes=["float32", "bfloat16"])
    assert result.outcome == "passed", result.findings


# --- models -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_a_right_model_passes_with_dropout_and_batch_norm(seed):
    """Dropout draws another mask in each dtype, so the model is compared in eval mode."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential(
        torch.nn.Linear(16, 64),
        torch.nn.BatchNorm1d(64),
        torch.nn.Dropout(),
        torch.nn.Linear(64, 4),
    )
    x = torch.randn(32, 16)
    result = gradcheck.check_precision(model, x, loss=lambda y: (y**2).mean(), seed=seed)
    assert "wrong" not in " ".join(codes(result)), result.findings
    assert any("eval mode" in note for note in result.notes)


def test_a_wrong_layer_of_a_model_is_found():
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.nn.Linear(16, 64)
            self.act = silu(row)
            self.outer = torch.nn.Linear(64, 4)

        def forward(self, x):
            return self.outer(self.act(self.inner(x)))

    x = torch.randn(32, 16)
    result = gradcheck.check_precision(Net(), x, loss=lambda y: (y**2).mean(), dtypes=["float32"])
    assert "wrong_gradient" in codes(result)
    assert {f.parameter for f in result.findings} <= {"inner.weight", "inner.bias"}


def test_draws_that_a_kernel_refuses_are_counted():
    calls = []

    def picky(x):
        calls.append(1)
        if len(calls) > 2 and float(x[0, 0]) < 0.99:
            raise ValueError("the first number must be 1")
        return x * x

    result = gradcheck.check_precision(
        picky, torch.ones(8, 8), dtypes=["float32"], draws=4, memory=False
    )
    assert any("draws were left out" in note for note in result.notes)
