"""Small nets and helpers that several tests of the checks share."""

from __future__ import annotations

from typing import Any

from tinytorch import Tensor, nn


class Net(nn.Module):
    """(B, 8) -> (B, 5)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 32), nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu())


class Table(nn.Module):
    """ids (B, T) -> (B, T, 11), each by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(11, 11)

    def forward(self, ids: Tensor) -> Tensor:
        return self.table(ids)


def plain_step(model: Any, batch: Any, loss: Any) -> Tensor:
    return loss(model(batch[0]), batch[1])
