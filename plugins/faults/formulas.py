"""Wrong backward formulas: one term, axis, factor or index of a pullback is wrong."""

from __future__ import annotations

from .planting import Fault, in_op

X = "{x: [2, 5]}"
POSITIVE = "{x: {shape: [2, 3], low: 0.3, high: 3.0}}"
IMAGES = "{x: [2, 2, 6, 6], weight: [4, 2, 3, 3], bias: [4]}"
CLASSES = "{input: [4, 5], target: {shape: [4], dtype: int, high: 5}}"

# name of the fault: (op, what stands in its source, the wrong text, inputs, arguments)
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
    # products
    "matmul_transpose_forgotten": (
        "matmul",
        "np.matmul(as_matrix(g), _t(b[:, None] if column else b))",
        "np.matmul(as_matrix(g), b)",
        "{a: [3, 3], b: [3, 3]}",
        "",
    ),
    "linear_transpose_forgotten": (
        "linear",
        "np.matmul(_rows(g), weight)",
        "np.matmul(_rows(g), weight.T)",
        "{x: [2, 4], weight: [4, 4], bias: [4]}",
        "",
    ),
    "linear_bias_last_row_only": (
        "linear",
        "_rows(g).sum(axis=0)",
        "_rows(g)[-1]",
        "{x: [2, 3, 4], weight: [5, 4], bias: [5]}",
        "",
    ),
    "linear_bias_mean_over_time": (
        "linear",
        "_rows(g).sum(axis=0)",
        "_rows(g).mean(axis=0)",
        "{x: [2, 3, 4], weight: [5, 4], bias: [5]}",
        "",
    ),
    "linear_weight_last_time_only": (
        "linear",
        "np.matmul(_rows(g).T, _rows(x))",
        "np.matmul(_rows(g[..., -1, :]).T, _rows(x[..., -1, :]))",
        "{x: [2, 3, 4], weight: [5, 4]}",
        "",
    ),
    "einsum_operand_transposed": (
        "einsum",
        "part = np.einsum(contract, g, *others, optimize=True)",
        "part = np.swapaxes(np.einsum(contract, g, *others, optimize=True), -1, -2)",
        "{a: [3, 3], b: [3, 3]}",
        '{equation: "ij,jk->ik"}',
    ),
    # convolution and pooling
    "conv_weight_flipped": (
        "conv2d",
        "return _conv(x, weight, bias, stride, padding, dilation, groups, n=2)",
        "y, parts = _conv(x, weight, bias, stride, padding, dilation, groups, n=2)\n"
        "    return y, (_conv(x, weight[..., ::-1, ::-1], bias, stride, padding, dilation, "
        "groups, n=2)[1][0], *parts[1:])",
        IMAGES,
        "{padding: 1}",
    ),
    "conv_stride_ignored": (
        "conv2d",
        "return _conv(x, weight, bias, stride, padding, dilation, groups, n=2)",
        "y, parts = _conv(x, weight, bias, stride, padding, dilation, groups, n=2)\n"
        "    near = x[..., : g_shape(y)[0] + weight.shape[-2] - 1, : g_shape(y)[1] + weight.shape[-1] - 1]\n"
        "    return y, (parts[0], lambda g: _conv(near, weight, bias, 1, 0, 1, groups, n=2)[1][1](g), parts[2])".replace("g_shape(y)", "y.shape[-2:]"),
        IMAGES,
        "{stride: 2}",
    ),
    "conv_padding_off_by_one": (
        "conv2d",
        "return _conv(x, weight, bias, stride, padding, dilation, groups, n=2)",
        "y, parts = _conv(x, weight, bias, stride, padding, dilation, groups, n=2)\n"
        "    return y, (lambda g: np.roll(parts[0](g), 1, -1), *parts[1:])",
        IMAGES,
        "{padding: 1}",
    ),
    "conv_groups_mixed": (
        "conv2d",
        "return _conv(x, weight, bias, stride, padding, dilation, groups, n=2)",
        "y, parts = _conv(x, weight, bias, stride, padding, dilation, groups, n=2)\n"
        "    return y, (lambda g: np.roll(parts[0](g), 1, -3), *parts[1:])",
        "{x: [2, 4, 4, 4], weight: [4, 2, 3, 3], bias: [4]}",
        "{groups: 2}",
    ),
    "conv_bias_not_summed_over_space": (
        "conv2d",
        "return _conv(x, weight, bias, stride, padding, dilation, groups, n=2)",
        "y, parts = _conv(x, weight, bias, stride, padding, dilation, groups, n=2)\n"
        "    return y, (*parts[:2], lambda g: g[..., 0, 0].sum(axis=0))",
        IMAGES,
        "",
    ),
    "max_pool_all_ties": (
        "max_pool2d",
        "np.put_along_axis(columns, first, g[..., None, :, :], axis=-3)",
        "columns += g[..., None, :, :] * (windows == y[..., None, :, :])",
        "{x: [1, 2, 4, 4]}",
        "{kernel_size: 2}",
    ),
    "max_pool_overlaps_overwritten": (
        "max_pool2d",
        "return _inside(fold(columns, padded_shape, kernel, steps, gaps), pads, shape)",
        "z = fold(columns, padded_shape, kernel, steps, gaps)\n"
        "        hits = fold((columns != 0).astype(g.dtype), padded_shape, kernel, steps, gaps)\n"
        "        return _inside(z / np.maximum(hits, 1), pads, shape)",
        "{x: [1, 2, 5, 5]}",
        "{kernel_size: 3, stride: 1}",
    ),
    "max_pool_last_of_window": (
        "max_pool2d",
        "np.put_along_axis(columns, first,",
        "np.put_along_axis(columns, 0 * first,",
        "{x: [1, 2, 4, 4]}",
        "{kernel_size: 2}",
    ),
    "avg_pool_divisor": ("avg_pool2d", "g = (g * share)", "g = (g / kernel[0])", "{x: [1, 2, 4, 4]}", "{kernel_size: 2}"),
    "avg_pool_padding_counted": (
        "avg_pool2d",
        "g = (g * share)",
        "g = (g / math.prod(kernel))",
        "{x: [1, 2, 4, 4]}",
        "{kernel_size: 2, padding: 1, count_include_pad: false}",
    ),
    # rearranging
    "concat_pieces_swapped": (
        "concat",
        "where = _along(slice(ends[i], ends[i + 1]), dim)",
        "where = _along(slice(ends[-1] - ends[i + 1], ends[-1] - ends[i]), dim)",
        "{a: [2, 3], b: [2, 3]}",
        "{dim: 1}",
    ),
    "stack_pieces_swapped": ("stack", "_along(i, dim)", "_along(-1 - i, dim)", "{a: [2, 3], b: [2, 3]}", "{dim: 0}"),
    "pad_slice_off_by_one": (
        "pad",
        "centre = tuple(_inside(a, b, n) for (a, b), n in zip(grow, y.shape))",
        "centre = tuple(_inside(max(a - 1, 0), b + min(a, 1), n) for (a, b), n in zip(grow, y.shape))",
        "{x: [3, 4]}",
        "{pad: [1, 2]}",
    ),
    "flip_not_undone": ("flip", "lambda g: np.flip(g, dims)", "lambda g: g", "{x: [3, 4]}", "{dims: [1]}"),
    "permute_not_inverted": (
        "permute",
        "np.transpose(g, back)",
        "np.transpose(g, order)",
        "{x: [3, 3, 3]}",
        "{dims: [1, 2, 0]}",
    ),
    "transpose_not_undone": (
        "transpose",
        "lambda g: np.swapaxes(g, dim0, dim1)",
        "lambda g: g",
        "{x: [3, 3]}",
        "{dim0: 0, dim1: 1}",
    ),
    "transpose_reshaped_instead": (
        "transpose",
        "lambda g: np.swapaxes(g, dim0, dim1)",
        "lambda g: g.reshape(x.shape)",
        "{x: [3, 4]}",
        "{dim0: 0, dim1: 1}",
    ),
    "reshape_in_column_order": ("reshape", "g.reshape(old)", "g.reshape(old, order='F')", "{x: [3, 4]}", "{shape: [2, 6]}"),
    "tril_ignored": ("tril", "np.tril(g, diagonal)", "g", "{x: [3, 4]}", ""),
    "triu_diagonal_lost": ("triu", "np.triu(g, diagonal)", "np.triu(g, diagonal + 1)", "{x: [3, 4]}", ""),
    # indexing
    "embedding_assigns": (
        "embedding",
        "gw = add_rows(ids.reshape(-1), g.reshape(-1, g.shape[-1]), n)",
        "gw = np.zeros((n, g.shape[-1]), g.dtype)\n        gw[ids] = g",
        "{weight: [6, 3], ids: {shape: [5], dtype: int, high: 6}}",
        "",
    ),
    "embedding_ids_shifted": (
        "embedding",
        "add_rows(ids.reshape(-1),",
        "add_rows((ids.reshape(-1) + 1) % n,",
        "{weight: [6, 3], ids: {shape: [5], dtype: int, high: 6}}",
        "",
    ),
    "embedding_divides_by_count": (
        "embedding",
        "gw = add_rows(ids.reshape(-1), g.reshape(-1, g.shape[-1]), n)",
        "gw = add_rows(ids.reshape(-1), g.reshape(-1, g.shape[-1]), n)\n"
        "        gw /= np.maximum(np.bincount(ids.reshape(-1), minlength=n), 1)[:, None]",
        "{weight: [6, 3], ids: {shape: [5], dtype: int, high: 6}}",
        "",
    ),
    "gather_assigns": (
        "gather",
        "return add_at(positions, g, shape), None",
        "z = np.zeros(shape, g.dtype)\n        z[where] = g\n        return z, None",
        "{x: [3, 4], index: {shape: [3, 4], dtype: int, high: 4}}",
        "{dim: 1}",
    ),
    "scatter_source_gets_everything": (
        "scatter_add",
        "z[used] = g[where]",
        "z[used] = g[used]",
        "{x: [3, 4], index: {shape: [3, 4], dtype: int, high: 4}, src: [3, 4]}",
        "{dim: 1}",
    ),
    "getitem_assigns": (
        "getitem",
        "return add_at(positions, g, positions_of=shape)",
        "z = np.zeros(shape, g.dtype)\n        z[where] = g\n        return z",
        "{x: [4, 3]}",
        "{index: [[0, 2, 2]]}",
    ),
    # losses
    "mse_without_two": ("mse_loss", "back(g) * 2 * d", "back(g) * d", "{input: [4, 3], target: [4, 3]}", ""),
    "mse_target_same_sign": ("mse_loss", "back(g) * -2 * d", "back(g) * 2 * d", "{input: [4, 3], target: [4, 3]}", ""),
    "huber_not_clipped": (
        "huber_loss",
        "np.clip(d, -delta, delta)",
        "d",
        "{input: {shape: [4, 3], scale: 2.0}, target: [4, 3]}",
        "",
    ),
    "bce_weight_of_positives": (
        "binary_cross_entropy_with_logits",
        "(1 + more * t) * tail",
        "tail",
        "{input: [4], target: {values: [0.0, 1.0, 1.0, 0.0]}, weight: {shape: [4], low: 0.5, "
        "trainable: false}, pos_weight: {values: [3.0, 2.0, 3.0, 2.0], trainable: false}}",
        "",
    ),
    "nll_ignored_counted": (
        "nll_loss",
        "(-w * back(g))",
        "(-back(g))",
        "{input: [4, 5], target: {values: [0, 3, -100, 2], dtype: int}}",
        "",
    ),
    "cross_entropy_not_divided_by_batch": (
        "cross_entropy",
        "g = back(g)",
        "g = back(g) * w.sum()",
        CLASSES,
        "",
    ),
    "cross_entropy_divided_by_classes": (
        "cross_entropy",
        "g = back(g)",
        "g = back(g) * w.sum() / x.shape[-1]",
        CLASSES,
        "",
    ),
    "cross_entropy_target_forgotten": ("cross_entropy", " - (g * at_target)[..., None]", "", CLASSES, ""),
    "cross_entropy_smoothing_forgotten": (
        "cross_entropy",
        "gx -= (g * kept)[..., None] * each",
        "pass",
        CLASSES,
        "{label_smoothing: 0.1}",
    ),
    "cross_entropy_ignored_counted": (
        "cross_entropy",
        "gx = e * (g * sum_q / total[..., 0])[..., None]",
        "gx = e * (g / total[..., 0])[..., None]",
        "{input: [4, 5], target: {values: [0, 3, -100, 2], dtype: int}}",
        "",
    ),
}  # fmt: skip


def faults() -> list[Fault]:
    """All of the table: `gradient` must find each and name the op."""
    made = []
    for name, (op, right, wrong, inputs, args) in FORMULAS.items():
        case = f"op: {op}\ninputs: {inputs}" + (f"\nargs: {args}" if args else "")
        plant = in_op(op, (right, wrong))
        made.append(Fault(name, plant, case, "gradient", "wrong_gradient", {"op": op}))
    return made
