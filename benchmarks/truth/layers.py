"""The layers and losses of torch.nn, in train and eval mode, parameters and inputs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

from truth.opinfo import judged
from truth.rows import Row

DESERVED = {"Hardsigmoid": "the CPU kernel has 1/6 in float32, also for float64: 3e-8"}
"""Layers that are red although torch passes: the finding is true."""


PLAIN = (
    "ReLU",
    "ReLU6",
    "ELU",
    "SELU",
    "CELU",
    "GELU",
    "Hardtanh",
    "Hardswish",
    "Hardsigmoid",
    "Hardshrink",
    "Softshrink",
    "LeakyReLU",
    "LogSigmoid",
    "Mish",
    "PReLU",
    "Sigmoid",
    "SiLU",
    "Softplus",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Softmax",
    "LogSoftmax",
    "Softmin",
    "GLU",
    "Identity",
    "Flatten",
)
"""Layers without arguments that take any matrix."""


def layers() -> dict[str, tuple[Callable[[], Any], tuple[int, ...]]]:
    """By name the factory of a layer and the shape of its input."""
    from torch import nn

    rows: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {}
    for name in PLAIN:
        rows[name] = (getattr(nn, name), (3, 4))
    rows |= {
        "Linear": (lambda: nn.Linear(4, 3), (5, 4)),
        "Conv1d": (lambda: nn.Conv1d(2, 3, 3, padding=1), (2, 2, 7)),
        "Conv2d": (lambda: nn.Conv2d(2, 3, 3, stride=2), (2, 2, 6, 5)),
        "Conv2d_grouped": (lambda: nn.Conv2d(4, 4, 3, groups=2, dilation=2), (1, 4, 7, 7)),
        "Conv3d": (lambda: nn.Conv3d(1, 2, 2), (1, 1, 3, 4, 3)),
        "ConvTranspose1d": (lambda: nn.ConvTranspose1d(2, 3, 3, stride=2), (2, 2, 4)),
        "ConvTranspose2d": (
            lambda: nn.ConvTranspose2d(2, 2, 3, output_padding=1, stride=2),
            (1, 2, 3, 3),
        ),
        "MaxPool1d": (lambda: nn.MaxPool1d(2), (2, 2, 6)),
        "MaxPool2d": (lambda: nn.MaxPool2d(2), (1, 2, 4, 6)),
        "AvgPool2d": (lambda: nn.AvgPool2d(2), (1, 2, 4, 6)),
        "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d(2), (1, 2, 5, 5)),
        "AdaptiveMaxPool2d": (lambda: nn.AdaptiveMaxPool2d(2), (1, 2, 5, 5)),
        "LPPool2d": (lambda: nn.LPPool2d(2, 2), (1, 2, 4, 4)),
        "BatchNorm1d": (lambda: nn.BatchNorm1d(3), (6, 3)),
        "BatchNorm2d": (lambda: nn.BatchNorm2d(3), (3, 3, 2, 2)),
        "GroupNorm": (lambda: nn.GroupNorm(2, 4), (2, 4, 3)),
        "LayerNorm": (lambda: nn.LayerNorm(5), (3, 5)),
        "RMSNorm": (lambda: nn.RMSNorm(5), (3, 5)),
        "InstanceNorm1d": (lambda: nn.InstanceNorm1d(3, affine=True), (2, 3, 5)),
        "LocalResponseNorm": (lambda: nn.LocalResponseNorm(2), (2, 4, 3)),
        "PixelShuffle": (lambda: nn.PixelShuffle(2), (1, 4, 2, 2)),
        "Upsample": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), (1, 2, 3, 3)),
        "ReflectionPad2d": (lambda: nn.ReflectionPad2d(1), (1, 2, 3, 3)),
        "Dropout": (lambda: nn.Dropout(0.5), (4, 5)),
        "RNN": (lambda: First(nn.RNN(3, 4)), (5, 2, 3)),
        "LSTM": (lambda: First(nn.LSTM(3, 4, num_layers=2)), (4, 2, 3)),
        "GRU": (lambda: First(nn.GRU(3, 4, bidirectional=True)), (4, 2, 3)),
        "MultiheadAttention": (lambda: SelfAttention(nn.MultiheadAttention(8, 2)), (3, 2, 8)),
        "TransformerEncoderLayer": (lambda: nn.TransformerEncoderLayer(8, 2, 16), (3, 2, 8)),
    }
    return rows


def First(module: Any) -> Any:  # noqa: N802 it makes a Module
    """The first of what `module` returns."""
    from torch import nn

    class Only(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, x: Any) -> Any:
            return self.inner(x)[0]

    return Only()


def SelfAttention(module: Any) -> Any:  # noqa: N802
    """`module` with one input as query, key and value."""
    from torch import nn

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, x: Any) -> Any:
            return self.inner(x, x, x)[0]

    return Attention()


def rows(seeds: int) -> Iterator[Row]:
    """Every layer by its parameters and by its input, in train and eval mode."""
    import torch

    import gradcheck

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for name, (factory, shape) in layers().items():
        for training in (True, False):
            for seed in range(seeds):
                torch.manual_seed(seed)
                layer = factory().double().train(training)
                x = torch.randn(shape, dtype=torch.float64)
                mode = "train" if training else "eval"

                def run(x: Any, layer: Any = layer) -> Any:
                    torch.manual_seed(0)  # dropout
                    return layer(x)

                run.__name__ = name
                yield judged(f"{name} input {mode} {seed}", run, [x.clone().requires_grad_()])
                if any(True for _ in layer.parameters()):
                    try:
                        found = gradcheck.check_gradients(layer, x, seed=seed, loss=_mean_square)
                        said = "; ".join(f.message for f in found.findings)
                        outcome = found.outcome
                    except Exception as error:
                        outcome, said = "raised", f"{type(error).__name__}: {error}"
                    yield Row(f"{name} parameters {mode} {seed}", outcome, said)


def _mean_square(output: Any) -> Any:
    return (output * output).mean()
