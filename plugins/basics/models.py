"""Small models on tinytorch. B stands for the batch, T for time, V for the alphabet."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tinytorch import Tensor, nn

from .chars import ALPHABET

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "silu": nn.SiLU}


class Logistic(nn.Module):
    """Logistic regression: one linear map to the logits of `classes`."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.reshape(len(x), -1))  # (B, classes)


class MLP(nn.Module):
    """Linear layers of the given sizes, an activation between each two.

    sizes: [inputs, hidden, ..., outputs]. dropout: its rate after every activation.
    """

    def __init__(
        self, sizes: Sequence[int], activation: str = "relu", dropout: float = 0.0
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation {activation!r}; there are: {', '.join(ACTIVATIONS)}")
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise(sizes)):
            if i > 0:
                layers.append(ACTIVATIONS[activation]())
                if dropout > 0:
                    layers.append(nn.Dropout(dropout))
            layers.append(nn.Linear(before, after))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.reshape(len(x), -1))  # (B, outputs)


class CNN(nn.Module):
    """Two convolutions, each halved by a pool, and a linear map. Images (B, 1, 8, 8)."""

    def __init__(self, channels: int = 8, classes: int = 10, norm: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels) if norm else nn.Identity()
        self.conv2 = nn.Conv2d(channels, 2 * channels, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(2 * channels * 2 * 2, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.norm(self.conv1(x)).relu())  # (B, channels, 4, 4)
        x = self.pool(self.conv2(x).relu())  # (B, 2 * channels, 2, 2)
        return self.head(x.reshape(len(x), -1))  # (B, classes)


class CharLSTM(nn.Module):
    """Logits of the next character at every position: ids (B, T) -> (B, T, V)."""

    def __init__(self, hidden: int = 24, embed: int = 12) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(ALPHABET), embed)
        self.lstm = nn.LSTM(embed, hidden, batch_first=True)
        self.head = nn.Linear(hidden, len(ALPHABET))

    def forward(self, ids: Tensor) -> Tensor:
        states, _ = self.lstm(self.embedding(ids))  # (B, T, hidden)
        return self.head(states)  # (B, T, V)


class XorNet(nn.Module):
    """Two inputs, a few tanh units, one logit."""

    def __init__(self, hidden: int = 8) -> None:
        super().__init__()
        self.hidden = nn.Linear(2, hidden)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.hidden(x).tanh())  # (B, 1)
