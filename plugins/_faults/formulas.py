"""Wrong backward formulas of elementwise ops, reductions and norms: a term, axis or factor."""

# ruff: noqa: E501

from __future__ import annotations

from .planting import Fault, in_op

X = "{x: [2, 5]}"
POSITIVE = "{x: {shape: [2, 3], low: 0.3, high: 3.0}}"

# name of the fault: (op, the text in its source, the wrong text, inputs, arguments)
FORMULAS: dict[str, tuple[str, str, str, str, str]] = {
    # one by one
    "tanh_sign": ("tanh", "g * (1 - y * y)", "-g * (1 - y * y)", X, ""),
    "tanh_of_the_input": ("tanh", "g * (1 - y * y)", "g * (1 - x * x)", X, ""),
    "sin_of_the_result": ("sin", "g * np.cos(x)", "g * np.cos(np.sin(x))", X, ""),
    "cos_sign": ("cos", "-g * np.sin(x)", "g * np.sin(x)", X, ""),
    "square_without_two": ("pow", "b * np.power", "np.power", "{a: [2, 5]}", "{b: 2}"),
    "power_exponent_kept": (
        "pow",
        "b * np.power(a, b - 1)",
        "b * np.power(a, b)",
        "{a: {shape: [2, 5], low: 0.5, high: 2.0}}",
        "{b: 3}",
    ),
    "power_logarithm_missing": (
        "pow",
        "y * np.log(a)",
        "y",
        "{a: {shape: [2, 3], low: 0.5, high: 2.0}, b: [2, 3]}",
        "",
    ),
    "sqrt_without_half": ("sqrt", "g / (2 * y)", "g / y", POSITIVE, ""),
    "log_of_base_ten": ("log", "g / x", "g / x / 2.302585092994046", POSITIVE, ""),
    "log1p_as_log": ("log1p", "g / (1 + x)", "g / x", POSITIVE, ""),
    "exp_of_input": ("exp", "g * y", "g * x", X, ""),
    "neg_forgotten": ("neg", "lambda g: -g", "lambda g: g", X, ""),
    "sub_adds": ("sub", "lambda g: -g", "lambda g: g", "{a: [2, 3], b: [2, 3]}", ""),
    "mul_own_factor": ("mul", "lambda g: g * a", "lambda g: g * b", "{a: [2, 3], b: [2, 3]}", ""),
    "div_sign": (
        "div",
        "-g * a / (b * b)",
        "g * a / (b * b)",
        "{a: [2, 3], b: {shape: [2, 3], low: 0.5, high: 2.0}}",
        "",
    ),
    "div_denominator_not_squared": (
        "div",
        "/ (b * b)",
        "/ b",
        "{a: [2, 3], b: {shape: [2, 3], low: 0.5, high: 2.0}}",
        "",
    ),
    "abs_without_sign": ("abs", "g * np.sign(x)", "g", X, ""),
    "where_branches_swapped": (
        "where",
        "np.where(condition, g, zero)",
        "np.where(condition, zero, g)",
        "{condition: {shape: [3, 4], dtype: bool}, a: [3, 4], b: [3, 4]}",
        "",
    ),
    "clip_passes_outside": ("clip", "g * _within(x, min, max)", "g", "{x: [4, 5]}", "{min: -0.5}"),
    "clip_upper_end_ignored": (
        "clip",
        "_within(x, min, max)",
        "_within(x, min, None)",
        "{x: [4, 5]}",
        "{min: -0.5, max: 0.5}",
    ),
    "maximum_to_the_smaller": ("maximum", "np.greater(b, a)", "np.greater(a, b)", "{a: [3, 4], b: [3, 4]}", ""),
    "maximum_ties_counted_twice": ("maximum", "_share(np.greater", "2 * _share(np.greater", "{a: [3, 4], b: [3, 4]}", ""),
    "relu_passes_all": ("relu", "g * (y > 0)", "g", X, ""),
    "leaky_slope_missing": ("leaky_relu", "negative_slope * g", "0 * g", X, "{negative_slope: 0.1}"),
    "leaky_slope_fixed": ("leaky_relu", "negative_slope * g", "0.01 * g", X, "{negative_slope: 0.1}"),
    "sigmoid_half_of_the_product": ("sigmoid", "g * y * (1 - y)", "g * y", X, ""),
    "silu_without_second_term": ("silu", "(s * (1 + x * (1 - s)))", "s", X, ""),
    "softplus_as_relu": ("softplus", "g * np.where(linear, 1, _sigmoid(z))", "g * (x > 0)", X, ""),
    "softplus_beta_squared": ("softplus", "_sigmoid(z))", "beta * _sigmoid(z))", X, "{beta: 2.0}"),
    "erf_without_constant": ("erf", "2 / math.sqrt(math.pi) * ", "", X, ""),
    "gelu_tanh_form_backward": (
        "gelu",
        "g * slope(x, cdf)",
        "g * (0.5 * (1 + np.tanh(0.7978845608028654 * (x + 0.044715 * x**3))) + 0.5 * x * "
        "(1 - np.tanh(0.7978845608028654 * (x + 0.044715 * x**3)) ** 2) * 0.7978845608028654 * "
        "(1 + 3 * 0.044715 * x * x))",
        X,
        "",
    ),
    "gelu_cubic_constant": ("gelu", "3 * 0.044715", "0.044715", X, "{approximate: tanh}"),
    # reductions
    "sum_scaled_by_count": ("sum", "spread(g,", "spread(g / shape[-1],", "{x: [3, 4]}", "{dim: 1}"),
    "sum_wrong_axis": ("sum", "spread(g, dim,", "spread(g, -3 - dim[0],", "{x: [3, 3]}", "{dim: 1}"),
    "mean_not_divided": ("mean", "spread(g / n", "spread(g", "{x: [3, 4]}", "{dim: 1}"),
    "mean_divided_by_the_other_axis": ("mean", "spread(g / n", "spread(g / shape[0]", "{x: [3, 4]}", "{dim: 1}"),
    "mean_divided_by_all": ("mean", "spread(g / n", "spread(g / math.prod(shape)", "{x: [3, 4]}", "{dim: 1}"),
    "var_divided_by_all": ("var", "(2 * share)", "(2 / (n + correction))", "{x: [3, 4]}", "{dim: 1}"),
    "var_without_two": ("var", "(2 * share)", "share", "{x: [3, 4]}", "{dim: 1}"),
    "var_mean_not_subtracted": ("var", "(2 * share) * d", "(2 * share) * x", "{x: [3, 4]}", "{dim: 1}"),
    "logsumexp_not_normalised": ("logsumexp", "np.exp(x - kept)", "np.exp(x - m)", "{x: [3, 4]}", "{dim: 1}"),
    "cumsum_backward_forwards": (
        "cumsum",
        "np.flip(np.cumsum(np.flip(g, dim), axis=dim), dim)",
        "np.cumsum(g, axis=dim)",
        "{x: [3, 4]}",
        "{dim: 1}",
    ),
    "cumsum_leaves_itself_out": (
        "cumsum",
        "np.flip(np.cumsum(np.flip(g, dim), axis=dim), dim)",
        "np.flip(np.cumsum(np.flip(g, dim), axis=dim), dim) - g",
        "{x: [3, 4]}",
        "{dim: 1}",
    ),
    # normalization
    "softmax_wrong_axis": (
        "softmax",
        "(g * y).sum(axis=dim, keepdims=True)",
        "(g * y).sum(axis=-3 - dim, keepdims=True)",
        "{x: [3, 3]}",
        "{dim: -1}",
    ),
    "softmax_diagonal_only": ("softmax", "(g - (g * y).sum(axis=dim, keepdims=True))", "(g - g * y)", "{x: [3, 4]}", "{dim: -1}"),
    "log_softmax_as_softmax": ("log_softmax", "g - np.exp(y) * g.sum(", "g - np.exp(y) * g.mean(", "{x: [3, 4]}", "{dim: -1}"),
    "log_softmax_of_the_log": ("log_softmax", "g - np.exp(y)", "g - y", "{x: [3, 4]}", "{dim: -1}"),
    "layer_norm_variance_constant": (
        "layer_norm",
        "_centred(g if weight is None else g * weight, xhat, rstd, dims)",
        "(lambda gw: (gw - gw.mean(axis=dims, keepdims=True)) * rstd)(g * weight)",
        "{x: [3, 5], weight: [5], bias: [5]}",
        "",
    ),
    "layer_norm_eps_outside_the_root": (
        "layer_norm",
        "xhat, rstd, dims)",
        "xhat, 1 / (np.sqrt(x.var(axis=dims, keepdims=True)) + eps), dims)",
        "{x: [3, 5], weight: [5], bias: [5]}",
        "",
    ),
    "layer_norm_unbiased_backward": (
        "layer_norm",
        "xhat, rstd, dims)",
        "xhat, 1 / np.sqrt(x.var(axis=dims, keepdims=True, ddof=1) + eps), dims)",
        "{x: [3, 5], weight: [5], bias: [5]}",
        "",
    ),
    "layer_norm_gain_forgotten": (
        "layer_norm",
        "g if weight is None else g * weight",
        "g",
        "{x: [3, 5], weight: [5], bias: [5]}",
        "",
    ),
    "layer_norm_gain_of_the_input": (
        "layer_norm",
        "lambda g: g * xhat",
        "lambda g: g * x",
        "{x: [3, 5], weight: [5], bias: [5]}",
        "",
    ),
    "rms_norm_term_missing": (
        "rms_norm",
        "scale * (gw - xhat * (gw * xhat).mean(axis=dims, keepdims=True))",
        "scale * gw",
        "{x: [3, 5], weight: [5]}",
        "",
    ),
    "batch_norm_running_stats_backward": (
        "batch_norm",
        "_centred(g if weight is None else g * column(weight), xhat, rstd, dims)",
        "(g if weight is None else g * column(weight)) * rstd",
        "{x: [4, 3], weight: [3], bias: [3]}",
        "{training: true}",
    ),
    "dropout_scale_missing": (
        "dropout",
        "g * (mask * g.dtype.type(scale))",
        "g * mask",
        "{x: [4, 5], mask: {shape: [4, 5], dtype: bool}}",
        "{p: 0.3}",
    ),
}  # fmt: skip


def of(table: dict[str, tuple[str, str, str, str, str]]) -> list[Fault]:
    """All of a table: `gradient` must find each and name the op."""
    made = []
    for name, (op, right, wrong, inputs, args) in table.items():
        case = f"op: {op}\ninputs: {inputs}" + (f"\nargs: {args}" if args else "")
        plant = in_op(op, (right, wrong))
        made.append(Fault(name, plant, case, "gradient", "wrong_gradient", {"op": op}))
    return made


def faults() -> list[Fault]:
    return of(FORMULAS)
