"""Wrong backward formulas of products, convolutions, pooling, rearranging, indexing and losses."""

# ruff: noqa: E501

from __future__ import annotations

from .formulas import of
from .planting import Fault

IMAGES = "{x: [1, 2, 5, 5], weight: [2, 2, 3, 3], bias: [2]}"
CLASSES = "{input: [4, 5], target: {shape: [4], dtype: int, high: 5}}"

# as in `formulas`
FORMULAS: dict[str, tuple[str, str, str, str, str]] = {
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
    return of(FORMULAS)
