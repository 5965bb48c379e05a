"""A small causal character model, right or with one fault, written once for PyTorch and tinytorch.

`lib` is either module: both have the names used here. The line that a reader would have to change
carries `# fault: <name>`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from gradcheck.plugins.basics.chars import ALPHABET, CharSequences

from .verdict import Subject

VOCAB, TIME, WIDTH, BATCH = len(ALPHABET), 8, 16, 8


def make_model(lib: Any, fault: str = "") -> Any:
    """ids (B, T) -> logits (B, T, V): one causal attention block."""
    nn, F = lib.nn, lib.nn.functional

    class CharModel(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(VOCAB, WIDTH)
            self.positions = nn.Embedding(TIME, WIDTH)
            self.norm = nn.LayerNorm(WIDTH)
            self.query = nn.Linear(WIDTH, WIDTH)
            self.key = nn.Linear(WIDTH, WIDTH)
            self.value = nn.Linear(WIDTH, WIDTH)
            self.proj = nn.Linear(WIDTH, WIDTH)
            self.up = nn.Linear(WIDTH, 2 * WIDTH)
            self.down = nn.Linear(2 * WIDTH, WIDTH)
            self.head = nn.Linear(WIDTH, VOCAB, bias=fault != "tied")
            self.drop = nn.Dropout(0.1)
            if fault == "large_head":
                self.head.weight.data[...] *= 20  # fault: large_head
            if fault == "dead_relu":
                self.up.bias.data[...] = -30.0  # fault: dead_relu
            if fault == "plain_norm":
                self.norm = nn.Identity()
                self.scale = lib.ones(WIDTH)  # fault: plain_norm
            if fault == "tied":
                self.embedding.weight.data[...] *= 0.25
                self.head.weight = self.embedding.weight
            if fault == "frozen":
                self.embedding.weight.requires_grad_(False)

        def forward(self, ids: Any) -> Any:
            where = lib.arange(ids.shape[1])
            if fault == "no_positions":
                x = self.embedding(ids) + 0 * self.positions(where)  # fault: no_positions
            else:
                x = self.embedding(ids) + self.positions(where)  # (B, T, C)
            h = self.normalized(x)
            attended = self.attend(h)
            if fault == "detached":
                attended = attended.detach()  # fault: detached
            x = x + attended
            if fault == "no_grad":
                with lib.no_grad():  # fault: no_grad
                    h = self.feed_forward(x)  # fault: no_grad
            else:
                h = self.feed_forward(x)
            if fault == "dropout":
                h = self.drop(h)
            if fault == "dropout_in_eval":
                h = F.dropout(h, 0.1, training=True)  # fault: dropout_in_eval
            return self.head(x + h)  # (B, T, V)

        def normalized(self, x: Any) -> Any:
            return self.norm(x) * self.scale if fault == "plain_norm" else self.norm(x)

        def attend(self, x: Any) -> Any:
            q, k, v = self.query(x), self.key(x), self.value(x)  # (B, T, C) each
            scores = q @ k.transpose(1, 2) * WIDTH**-0.5  # (B, T, T)
            t = x.shape[1]
            hidden = np.triu(np.ones((t, t), dtype=np.bool_), 1)
            if fault == "mask_off_by_one":
                hidden = np.triu(hidden, 2)  # fault: mask_off_by_one
            if fault != "mask_absent":
                scores = scores.masked_fill(lib.tensor(hidden), -1e9)
            if fault == "softmax_over_batch":
                p = F.softmax(scores, dim=0)  # fault: softmax_over_batch
            else:
                p = F.softmax(scores, dim=-1)
            return self.proj(p @ v)

        def feed_forward(self, x: Any) -> Any:
            return self.down(self.up(x).relu())

    return CharModel()


def make_loss(lib: Any, fault: str = "") -> Any:
    """loss(logits (B, T, V), ids (B, T)) -> scalar."""
    F = lib.nn.functional

    def loss(logits: Any, ids: Any) -> Any:
        flat, targets = logits.reshape(-1, VOCAB), ids.reshape(-1)
        if fault == "sign":
            return -F.cross_entropy(flat, targets)  # fault: sign
        if fault == "softmax_twice":
            flat = F.softmax(flat, dim=-1)  # fault: softmax_twice
        if fault == "rebuilt":
            flat = lib.tensor(logits.data.reshape(-1, VOCAB), requires_grad=True)  # fault: rebuilt
        return F.cross_entropy(flat, targets)

    return loss


def make_optimizer(lib: Any, model: Any, fault: str = "") -> Any:
    """Adam on what trains, as a reader's loop would make it."""
    rate = {"rate_low": 1e-6, "rate_high": 10.0}.get(fault, 0.01)
    held = [p for p in model.parameters() if p.requires_grad]
    if fault == "layer_forgotten":
        left_out = {id(model.down.weight), id(model.down.bias)}
        held = [p for p in held if id(p) not in left_out]  # fault: layer_forgotten
    return lib.optim.Adam(held, lr=rate)


class Chars(CharSequences):
    """`unpaired`: a loader that shuffles inputs and targets apart; `shifted`: targets two ahead."""

    def __init__(self, fault: str = "") -> None:
        super().__init__(length=TIME + (fault == "shifted"), samples=64)
        self.fault = fault
        if fault == "unpaired":
            self.loader = self._unpaired

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        ids, targets = super().__getitem__(i)
        if self.fault == "shifted":
            return ids[:-1], targets[1:]  # fault: shifted
        return ids, targets

    def _unpaired(self, batch_size: int, shuffle: bool, seed: int) -> Any:
        return _Unpaired(self, batch_size, seed)

    def batch(self) -> tuple[Any, Any]:
        """(B, T) ids and targets: the first batch."""
        if self.fault == "unpaired":
            return next(iter(_Unpaired(self, BATCH, 0)))
        samples = [self[i] for i in range(BATCH)]
        return np.stack([s[0] for s in samples]), np.stack([s[1] for s in samples])


class _Unpaired:
    def __init__(self, data: Chars, size: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.inputs = rng.permutation(len(data))
        self.targets = rng.permutation(len(data))  # fault: unpaired
        self.data, self.size = data, size

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for start in range(0, len(self.inputs) - self.size + 1, self.size):
            part = slice(start, start + self.size)
            yield (
                np.stack([self.data[int(i)][0] for i in self.inputs[part]]),
                np.stack([self.data[int(i)][1] for i in self.targets[part]]),
            )


@dataclass(frozen=True)
class ModelSubject(Subject):
    """part: what the fault (the id) is in: 'model', 'loss', 'optimizer', 'data' or 'step'."""

    part: str = "model"
    frozen: tuple[str, ...] = field(default=())

    def fault(self, part: str) -> str:
        return self.id if self.part == part else ""


def _fault(id: str, title: str, part: str, *words: str, needs: str = "") -> ModelSubject:
    return ModelSubject(id, title, "model", words=words, needs=frozenset(needs.split()), part=part)


ATTENTION = ("query.weight", "key.weight", "value.weight", "proj.weight", "proj.bias")
FORWARD = ("up.weight", "down.weight", "up.bias", "down.bias")

FAULTS = [
    _fault("mask_off_by_one", "causal mask off by one", "model"),
    _fault("mask_absent", "causal mask absent", "model"),
    _fault("softmax_over_batch", "attention softmax over the batch axis", "model", "softmax"),
    _fault("dropout_in_eval", "dropout active in eval mode", "model", "dropout"),
    _fault("no_positions", "positions have no effect", "model", "positions.weight"),
    _fault("detached", "attention output detached", "model", *ATTENTION),
    _fault("no_grad", "feed-forward run without grad", "model", *FORWARD),
    _fault("plain_norm", "scale of a norm is a plain tensor", "model", "scale"),
    _fault("large_head", "head initialised 20 times too large", "model", "head"),
    _fault("dead_relu", "dead ReLU layer", "model", *FORWARD, "relu"),
    _fault("rebuilt", "the loss rebuilds its logits from `.data`", "loss", *ATTENTION, *FORWARD),
    _fault("sign", "sign of the loss flipped", "loss"),
    _fault("softmax_twice", "softmax before a cross-entropy that has one", "loss", "softmax"),
    _fault("shifted", "targets shifted once too often", "data"),
    _fault("unpaired", "inputs and targets shuffled apart", "data"),
    _fault(
        "zero_grad", "zero_grad missing", "step", "optimizer.zero_grad", "zero_grad", needs="step"
    ),
    _fault("rate_low", "learning rate 1e-6", "optimizer", "learning rate"),
    _fault("rate_high", "learning rate 10", "optimizer", "learning rate"),
    _fault("layer_forgotten", "a layer missing from the optimizer", "optimizer", "down.weight"),
    ModelSubject(
        "thawed",
        "a layer meant frozen still moves",
        "model",
        words=("embedding.weight",),
        frozen=("embedding.weight",),
    ),
]

HEALTHY = ModelSubject(
    "healthy", "a small transformer (key bias: a true zero)", "model", correct=True
)
CORRECT = [
    HEALTHY,
    ModelSubject("tied", "tied weights", "model", correct=True),
    ModelSubject("frozen", "a frozen layer", "model", correct=True, frozen=("embedding.weight",)),
    ModelSubject("dropout", "dropout in train mode", "model", correct=True),
]


def train(model: Any, batch: Any, loss: Any, optimizer: Any, fault: str = "") -> Any:
    """One update, as a reader's loop does it; the loss before it."""
    if fault != "zero_grad":
        optimizer.zero_grad()
    value = loss(model(*batch[:-1]), batch[-1])
    value.backward()
    optimizer.step()
    return value
