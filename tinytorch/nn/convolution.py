"""Conv1d, Conv2d, MaxPool2d, AvgPool2d."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinytorch.nn import functional as F
from tinytorch.nn.linear import empty_parameter, init_as_linear
from tinytorch.nn.module import Module
from tinytorch.tensor import Tensor

Size = int | tuple[int, ...]


class _Conv(Module):
    """Cross-correlation of (N, in, ...) with weight (out, in / groups, *kernel) -> (N, out, ...).

    padding: zeros on either side, or 'valid' (none), or 'same'. Weight and bias start uniform
    within ±1 / √(in / groups * kernel).
    """

    axes: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{in_channels} input and {out_channels} output channels cannot be dealt to "
                f"{groups} groups; both must be multiples of it"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = self._per_axis(kernel_size, "kernel_size")
        self.stride = self._per_axis(stride, "stride")
        self.padding = padding if isinstance(padding, str) else self._per_axis(padding, "padding")
        self.dilation = self._per_axis(dilation, "dilation")
        self.groups = groups
        self.weight = empty_parameter(
            out_channels, in_channels // groups, *self.kernel_size, dtype=dtype
        )
        self.bias = empty_parameter(out_channels, dtype=dtype) if bias else None
        self.reset_parameters()

    def _per_axis(self, value: Size, name: str) -> tuple[int, ...]:
        sizes = (value,) * self.axes if isinstance(value, (int, np.integer)) else tuple(value)
        if len(sizes) != self.axes:
            raise ValueError(
                f"{type(self).__name__} needs one number, or {self.axes}, for {name}; got {value!r}"
            )
        return sizes

    def reset_parameters(self) -> None:
        init_as_linear(self.weight, self.bias)

    def extra_repr(self) -> str:
        parts: list[Any] = [self.in_channels, self.out_channels]
        parts += [f"kernel_size={self.kernel_size}", f"stride={self.stride}"]
        if self.padding != (0,) * self.axes:
            parts.append(f"padding={self.padding!r}")
        if self.dilation != (1,) * self.axes:
            parts.append(f"dilation={self.dilation}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        return ", ".join(map(str, parts))


class Conv1d(_Conv):
    __doc__ = f"Over (N, C, L). {_Conv.__doc__}"
    axes = 1

    def forward(self, input: Tensor) -> Tensor:
        return F.conv1d(
            input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )


class Conv2d(_Conv):
    __doc__ = f"Over (N, C, H, W). {_Conv.__doc__}"
    axes = 2

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(
            input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )


class MaxPool2d(Module):
    """Largest entry of each window of the last two axes; stride is the kernel by default."""

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation

    def forward(self, input: Tensor) -> Tensor:
        return F.max_pool2d(input, self.kernel_size, self.stride, self.padding, self.dilation)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}"
        )


class AvgPool2d(Module):
    """Mean of each window of the last two axes; stride is the kernel by default.

    Padding counts as zeros unless count_include_pad is False.
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        *,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            count_include_pad=self.count_include_pad,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
