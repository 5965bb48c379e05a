"""Ops that are right, each at inputs where a hasty check would say that they are not."""

# ruff: noqa: E501

import numpy as np

import tinytorch
from tinytorch import Tensor, op


@op
def correct_floor(x):
    """Piecewise constant: its gradient is zero wherever it has one."""
    return np.floor(x), lambda g: np.zeros_like(g)


@op
def correct_sign(x):
    return np.sign(x), lambda g: np.zeros_like(g)


@op
def correct_hard_tanh(x):
    return np.clip(x, -1, 1), lambda g: g * ((x > -1) & (x < 1))


@op
def correct_relu_one_at_zero(x):
    """The other end of the subgradient."""
    return np.maximum(x, 0), lambda g: g * (x >= 0)


@op
def correct_relu_half_at_zero(x):
    return np.maximum(x, 0), lambda g: g * np.where(x == 0, 0.5, x > 0)


@op
def correct_relu_squared(x):
    r = np.maximum(x, 0)
    return r * r, lambda g: g * 2 * r


@op
def correct_x_times_abs(x):
    return x * np.abs(x), lambda g: g * 2 * np.abs(x)


@op
def correct_sorted(x):
    order = np.argsort(x, axis=-1, kind="stable")

    def pullback(g):
        z = np.empty_like(g)
        np.put_along_axis(z, order, g, axis=-1)
        return z

    return np.take_along_axis(x, order, axis=-1), pullback


@op
def correct_max_to_first(x):
    """All of the gradient to the first of equal ones, as max pooling does."""
    first = x.argmax(axis=-1)[..., None]

    def pullback(g):
        z = np.zeros_like(x)
        np.put_along_axis(z, first, g[..., None], axis=-1)
        return z

    return np.take_along_axis(x, first, axis=-1)[..., 0], pullback


@op
def correct_inverse(x):
    y = np.linalg.inv(x)
    t = np.swapaxes(y, -1, -2)
    return y, lambda g: -t @ g @ t


@op
def correct_log_determinant(x):
    return np.linalg.slogdet(x)[
        1
    ], lambda g: g[..., None, None] * np.swapaxes(np.linalg.inv(x), -1, -2)


@op
def correct_oscillating(x):
    return np.sin(100 * x), lambda g: g * 100 * np.cos(100 * x)


@op
def correct_steep(x):
    """A step of width 1e-4."""
    y = np.tanh(x / 1e-4)
    return y, lambda g: g * (1 - y * y) / 1e-4


@op
def correct_read_only(x):
    """Result and cotangent are broadcast views that cannot be written to."""
    shape = x.shape
    return np.broadcast_to(x[..., None], (*shape, 3)), lambda g: np.broadcast_to(g.sum(-1), shape)


@op
def correct_identity(x):
    """Hands the very cotangent on."""
    return x, lambda g: g


@op
def correct_constant(x):
    return np.ones_like(x), lambda g: np.zeros_like(g)


@op
def correct_none_for_constant(x):
    return np.ones_like(x), lambda g: None


@op
def correct_offset(x):
    """A small signal on a large constant: rounding is all that differences see of small steps."""
    return 1e6 + np.sin(x), lambda g: g * np.cos(x)


@op
def correct_two_scales(a, b):
    """Gradients of 1e8 and of 1e-8 in one op."""
    return 1e8 * np.sin(a) + 1e-8 * np.sin(b), lambda g: (1e8 * g * np.cos(a), 1e-8 * g * np.cos(b))


@op
def correct_reciprocal(x):
    return 1 / x, lambda g: -g / (x * x)


@op
def correct_cube_root_of_square(x):
    """A cusp at 0, where the derivative is infinite on both sides; used away from it."""
    return np.cbrt(x * x), lambda g: g * 2 / (3 * np.cbrt(x))


@op
def correct_complex_inside(x):
    """A Fourier transform there and back, filtered."""
    n = x.shape[-1]
    keep = (np.arange(n // 2 + 1) < 2).astype(float)

    def filtered(v):
        return np.fft.irfft(np.fft.rfft(v) * keep, n)

    return filtered(x), filtered


def correct_same_tensor_twice(x: Tensor) -> Tensor:
    return tinytorch.maximum(x, x) + x * x


def correct_difference_of_itself(x: Tensor) -> Tensor:
    return x - x


def correct_chain(x: Tensor) -> Tensor:
    """Ten small steps."""
    for _ in range(10):
        x = (x * 1.01).tanh() + 0.1 * x.relu()
    return x


def correct_guarded_norm(x: Tensor) -> Tensor:
    return ((x * x).sum(-1) + 1e-6).sqrt()


def correct_product_of_sums(x: Tensor) -> Tensor:
    return x.softmax(-1).sum(-1) * x.sum(-1)


@op
def correct_lower_median(x):
    """The middle entry; of an even number the lower one."""
    order = np.argsort(x, axis=-1, kind="stable")
    middle = order[..., (x.shape[-1] - 1) // 2][..., None]

    def pullback(g):
        z = np.zeros_like(x)
        np.put_along_axis(z, middle, g[..., None], axis=-1)
        return z

    return np.take_along_axis(x, middle, axis=-1)[..., 0], pullback


@op
def correct_trace(x):
    """For square matrices only."""
    return np.asarray(np.trace(x)), lambda g: g * np.eye(len(x))


@op
def correct_labelled(x, labels):
    """The mean cross-entropy of rows with one label each, which does not check that."""
    rows = np.arange(len(x))
    shifted = x - x.max(-1, keepdims=True)
    y = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))

    def pullback(g):
        z = np.exp(y)
        z[rows, labels] -= 1
        return g * z / len(x), None

    return -y[rows, labels].mean(), pullback


@op
def correct_log_cosh(x):
    """Loses its digits near 0, where the result is a difference of numbers of about 1."""
    return np.logaddexp(x, -x) - np.log(2), lambda g: g * np.tanh(x)


@op
def correct_sharp_bell(x):
    y = np.exp(-(x**4))
    return y, lambda g: g * y * -4 * x**3


NAMED = {n: v for n, v in list(globals().items()) if n.startswith("correct_")}

KINKS = "{values: [[0.0, -0.0, 1.0e-12], [-1.0e-9, 0.5, -0.5]]}"
TIES = "{values: [[1.0, 1.0, 1.0], [2.0, 0.5, 2.0]]}"
EDGES = "{values: [-1.0, 1.0, 0.3, -2.0]}"
WIDE = "{values: [-40.0, -8.0, -1.0e-6, 0.0, 3.0, 21.0, 36.0, 700.0]}"

# YAML of the cases: op, inputs, arguments
CASES = {
    "lower_median": "op: correct_lower_median\ninputs: {x: [2, 7]}",
    "trace": "op: correct_trace\ninputs: {x: [4, 4]}",
    "labelled_rows": "op: correct_labelled\n"
    "inputs: {x: [3, 4], labels: {shape: [3], dtype: int, low: 0, high: 4}}",
    "log_cosh": "op: correct_log_cosh\ninputs: {x: [2, 3]}",
    "sharp_bell": "op: correct_sharp_bell\ninputs: {x: [2, 5]}",
    "relu_at_kinks": f"op: relu\ninputs: {{x: {KINKS}}}",
    "abs_at_kinks": f"op: abs\ninputs: {{x: {KINKS}}}",
    "leaky_relu_at_kinks": f"op: leaky_relu\ninputs: {{x: {KINKS}}}",
    "max_at_ties": f"op: max\ninputs: {{x: {TIES}}}\nargs: {{dim: 1}}",
    "min_at_ties": f"op: min\ninputs: {{x: {TIES}}}\nargs: {{dim: 1}}",
    "max_of_all_at_ties": f"op: max\ninputs: {{x: {TIES}}}",
    "maximum_at_ties": f"op: maximum\ninputs: {{a: {TIES}, b: {TIES}}}",
    "clip_at_its_ends": f"op: clip\ninputs: {{x: {EDGES}}}\nargs: {{min: -1.0, max: 1.0}}",
    "huber_at_delta": "op: huber_loss\ninputs: {input: {values: [1.0, -1.0, 0.0]}, "
    "target: {values: [0.0, 0.0, 0.0]}}",
    "l1_at_equal": "op: l1_loss\ninputs: {input: {values: [1.0, 2.0]}, target: {values: [1.0, 0.5]}}",
    "max_pool_at_ties": "op: max_pool2d\ninputs: {x: {values: [[[[1.0, 1.0], [0.5, 1.0]]]]}}\n"
    "args: {kernel_size: 2}",
    "max_pool_overlapping": "op: max_pool2d\ninputs: {x: [1, 1, 5, 5]}\nargs: {kernel_size: 3, stride: 1}",
    "max_pool_padded": "op: max_pool2d\ninputs: {x: [1, 2, 5, 5]}\nargs: {kernel_size: 3, padding: 1}",
    "tanh_saturated": f"op: tanh\ninputs: {{x: {WIDE}}}",
    "sigmoid_saturated": f"op: sigmoid\ninputs: {{x: {WIDE}}}",
    "softplus_saturated": f"op: softplus\ninputs: {{x: {WIDE}}}",
    "silu_saturated": f"op: silu\ninputs: {{x: {WIDE}}}",
    "gelu_saturated": f"op: gelu\ninputs: {{x: {WIDE}}}",
    "gelu_tanh_saturated": f"op: gelu\ninputs: {{x: {WIDE}}}\nargs: {{approximate: tanh}}",
    "erf_saturated": "op: erf\ninputs: {x: {values: [-6.5, -3.0, 0.0, 1.0e-9, 2.0, 5.9]}}",
    "softmax_saturated": "op: softmax\ninputs: {x: {shape: [4, 5], scale: 100.0}}\nargs: {dim: -1}",
    "log_softmax_saturated": "op: log_softmax\ninputs: {x: {shape: [4, 5], scale: 100.0}}\nargs: {dim: -1}",
    "logsumexp_saturated": "op: logsumexp\ninputs: {x: {shape: [4, 5], scale: 100.0}}\nargs: {dim: -1}",
    "softmax_of_one": "op: softmax\ninputs: {x: [4, 1]}\nargs: {dim: -1}",
    "cross_entropy_saturated": "op: cross_entropy\ninputs: {input: {shape: [4, 5], scale: 100.0}, "
    "target: {shape: [4], dtype: int, high: 5}}",
    "cross_entropy_smoothed": "op: cross_entropy\ninputs: {input: [3, 4], target: {shape: [3], "
    "dtype: int, high: 4}}\nargs: {label_smoothing: 0.2}",
    "cross_entropy_mostly_ignored": "op: cross_entropy\ninputs: {input: [3, 4], target: {values: "
    "[-100, 1, -100], dtype: int}}",
    "layer_norm_of_equal_values": "op: layer_norm\ninputs: {x: {values: [[2.0, 2.0, 2.0], "
    "[1.0, 0.5, 3.0]]}, weight: [3], bias: [3]}",
    "layer_norm_tiny_eps": "op: layer_norm\ninputs: {x: {shape: [3, 5], scale: 1.0e-3}, weight: [5]}\n"
    "args: {eps: 1.0e-12}",
    "layer_norm_of_one_value": "op: layer_norm\ninputs: {x: [3, 1], weight: [1], bias: [1]}",
    "layer_norm_of_two_values": "op: layer_norm\ninputs: {x: [3, 2], weight: [2], bias: [2]}",
    "rms_norm_of_zeros": "op: rms_norm\ninputs: {x: {values: [[0.0, 0.0], [1.0, 2.0]]}}\nargs: {eps: 1.0e-5}",
    "batch_norm_of_two": "op: batch_norm\ninputs: {x: [2, 3], weight: [3], bias: [3]}\nargs: {training: true}",
    "var_of_equal_values": "op: var\ninputs: {x: {values: [[1.0, 1.0, 1.0]]}}\nargs: {dim: 1}",
    "embedding_unused_rows": "op: embedding\ninputs: {weight: [9, 3], ids: {values: [2, 2, 5], dtype: int}}",
    "embedding_padding": "op: embedding\ninputs: {weight: [5, 3], ids: {values: [1, 2, 3], dtype: int}}\n"
    "args: {padding_idx: 0}",
    "getitem_repeated": "op: getitem\ninputs: {x: [4, 3]}\nargs: {index: [[0, 2, 2]]}",
    "scatter_add_repeated": "op: scatter_add\ninputs: {x: [3, 4], index: {values: [[0, 0, 0, 0], "
    "[1, 1, 2, 2]], dtype: int}, src: [2, 4]}\nargs: {dim: 1}",
    "scalars": "op: mul\ninputs: {a: [], b: []}",
    "scalar_with_matrix": "op: add\ninputs: {a: [], b: [3, 7]}",
    "one_by_three_by_seven": "op: mul\ninputs: {a: [1, 3, 7], b: [3, 1]}",
    "linear_of_one": "op: linear\ninputs: {x: [1, 1], weight: [1, 1], bias: [1]}",
    "matmul_vectors": "op: matmul\ninputs: {a: [3], b: [3]}",
    "matmul_batched": "op: matmul\ninputs: {a: [7, 1, 3], b: [3, 7]}",
    "exp_large": "op: exp\ninputs: {x: {values: [30.0, -30.0, 300.0, 0.0]}}",
    "log_small": "op: log\ninputs: {x: {values: [1.0e-12, 1.0, 1.0e6]}}",
    "sqrt_small": "op: sqrt\ninputs: {x: {values: [1.0e-10, 1.0e-4, 4.0]}}",
    "div_small": "op: div\ninputs: {a: [3], b: {values: [1.0e-5, -1.0e-3, 2.0]}}",
    "sin_large": "op: sin\ninputs: {x: {values: [1.0e4, -3.0e3, 0.0]}}",
    "cos_at_zero": "op: cos\ninputs: {x: {values: [0.0, 0.0, 1.0e-8]}}",
    "pow_of_zero": "op: pow\ninputs: {a: {values: [0.0, 1.0, -2.0]}}\nargs: {b: 2}",
    "cube_of_zero": "op: pow\ninputs: {a: {values: [0.0, 1.0e-3, -2.0]}}\nargs: {b: 3}",
    "mean_of_many": "op: mean\ninputs: {x: [1000]}",
    "sum_of_many": "op: sum\ninputs: {x: [30, 40]}",
    "avg_pool_padded": "op: avg_pool2d\ninputs: {x: [1, 1, 3, 3]}\nargs: {kernel_size: 2, padding: 1}",
    "conv_of_one_pixel": "op: conv2d\ninputs: {x: [1, 1, 1, 1], weight: [1, 1, 1, 1], bias: [1]}",
    "conv_strided_dilated": "op: conv2d\ninputs: {x: [1, 2, 7, 7], weight: [2, 1, 3, 3]}\n"
    "args: {stride: 2, dilation: 2, groups: 2, padding: 1}",
    "mse_at_the_minimum": "op: mse_loss\ninputs: {input: {values: [1.0, 2.0]}, target: {values: [1.0, 2.0]}}",
    "dropout_of_nothing": "op: dropout\ninputs: {x: [4], mask: {values: [false, false, false, false], "
    "dtype: bool}}",
    "tiny_values": "op: mul\ninputs: {a: {shape: [3, 4], scale: 1.0e-12}, b: {shape: [3, 4], scale: 1.0e-9}}",
    "huge_values": "op: mul\ninputs: {a: {shape: [3, 4], scale: 1.0e12}, b: {shape: [3, 4], scale: 1.0e9}}",
    "mixed_sizes": "op: mul\ninputs: {a: {values: [1.0e-9, 1.0, 1.0e9]}, b: {values: [1.0e9, 1.0, 1.0e-9]}}",
    "kink_of_floor": "op: correct_floor\ninputs: {x: {values: [0.9999999, 0.5, -1.0000001]}}",
    "relu_one_at_zero": f"op: correct_relu_one_at_zero\ninputs: {{x: {KINKS}}}",
    "relu_half_at_zero": f"op: correct_relu_half_at_zero\ninputs: {{x: {KINKS}}}",
    "max_to_first_at_ties": f"op: correct_max_to_first\ninputs: {{x: {TIES}}}",
    "hard_tanh_at_its_ends": f"op: correct_hard_tanh\ninputs: {{x: {EDGES}}}",
    "sorted_ties": f"op: correct_sorted\ninputs: {{x: {TIES}}}",
    "inverse": "op: correct_inverse\ninputs: {x: {values: [[2.0, 1.0], [0.5, 3.0]]}}",
    "inverse_nearly_singular": "op: correct_inverse\ninputs: {x: {values: [[1.0, 1.0], [1.0, 1.001]]}}",
    "log_determinant": "op: correct_log_determinant\ninputs: {x: {values: [[2.0, 1.0], [0.5, 3.0]]}}",
    "two_scales": "op: correct_two_scales\ninputs: {a: [3], b: [3]}",
    "reciprocal": "op: correct_reciprocal\ninputs: {x: {values: [0.001, -0.02, 5.0]}}",
    "cusp_nearby": "op: correct_cube_root_of_square\ninputs: {x: {values: [0.001, -0.5, 2.0]}}",
    "fourier": "op: correct_complex_inside\ninputs: {x: [2, 6]}",
    "same_tensor_at_ties": f"op: correct_same_tensor_twice\ninputs: {{x: {TIES}}}",
} | {
    name: f"op: {name}\ninputs: {{x: [2, 3]}}"
    for name in (
        "correct_sign",
        "correct_relu_squared",
        "correct_x_times_abs",
        "correct_oscillating",
        "correct_steep",
        "correct_read_only",
        "correct_identity",
        "correct_offset",
        "correct_difference_of_itself",
        "correct_chain",
        "correct_guarded_norm",
        "correct_product_of_sums",
    )
}  # fmt: skip
