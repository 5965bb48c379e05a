"""GPT, encoder and encoder-decoder against PyTorch's own transformer layers, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gradcheck.plugins.transformer.encoder import EncoderClassifier
from gradcheck.plugins.transformer.encoder_decoder import EncoderDecoder
from gradcheck.plugins.transformer.gpt import GPT
from gradcheck.plugins.transformer.tasks import CopiedSequences, MostFrequentSymbol

from tests.plugins.transformer.in_torch import (
    RELATIVE,
    assert_gradients,
    copied,
    copy_block,
    double,
    relative,
    t,
    torch,
)
from tinytorch import Tensor
from tinytorch.nn import functional as F

nn = torch.nn
LAYERS, HEADS, WIDTH = 2, 4, 16


def options(norm_first: bool, activation: str) -> dict[str, Any]:
    return {
        "d_model": WIDTH,
        "nhead": HEADS,
        "dim_feedforward": 4 * WIDTH,
        "dropout": 0.0,
        "activation": activation,
        "batch_first": True,
        "norm_first": norm_first,
        "dtype": torch.float64,
    }


def batch(*fields: Any) -> list[Any]:
    return [np.stack([np.asarray(v) for v in field]) for field in zip(*fields, strict=True)]


def embedding(ours: Any) -> Any:
    made = nn.Embedding(*ours.weight.shape, dtype=torch.float64)
    copied(made.weight, ours.weight)
    return made


def layer_norm(ours: Any) -> Any:
    made = nn.LayerNorm(WIDTH, dtype=torch.float64)
    copied(made.weight, ours.weight)
    copied(made.bias, ours.bias)
    return made


def linear(ours: Any) -> Any:
    out, inside = ours.weight.shape
    made = nn.Linear(inside, out, bias=ours.bias is not None, dtype=torch.float64)
    copied(made.weight, ours.weight)
    if ours.bias is not None:
        copied(made.bias, ours.bias)
    return made


def named(prefix: str, pairs: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}.{k}": v for k, v in pairs.items()}


def ends(name: str, layer: Any) -> dict[str, Any]:
    return {f"{name}.{k}": p for k, p in layer.named_parameters()}


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize("tied", [False, True])
def test_gpt(norm_first: bool, activation: str, tied: bool) -> None:
    ours = double(
        GPT(11, 9, LAYERS, HEADS, WIDTH, tied=tied, norm_first=norm_first, activation=activation)
    )
    ids = np.random.default_rng(0).integers(0, 11, (3, 8))
    tokens, layers = embedding(ours.token_embedding), []
    positions = nn.Parameter(t(ours.positions.weight._data))
    theirs: dict[str, Any] = {"positions.weight": positions, **ends("token_embedding", tokens)}
    for i, block in enumerate(ours.blocks):
        layers.append(nn.TransformerEncoderLayer(**options(norm_first, activation)))
        theirs |= named(f"blocks.{i}", copy_block(layers[-1], block))
    x = tokens(t(ids[:, :-1])) + positions[:7]
    mask = nn.Transformer.generate_square_subsequent_mask(7, dtype=torch.float64)
    for layer in layers:
        x = layer(x, src_mask=mask, is_causal=True)
    if norm_first:
        last = layer_norm(ours.norm)
        theirs |= ends("norm", last)
        x = last(x)
    if tied:
        expected = x @ tokens.weight.T
    else:
        head = linear(ours.head)
        theirs |= ends("head", head)
        expected = head(x)
    logits = ours(Tensor(ids[:, :-1]))
    assert relative(logits._data, expected.detach().numpy()) < RELATIVE

    loss = F.cross_entropy(logits.reshape(-1, 11), Tensor(ids[:, 1:]).reshape(-1))
    loss.backward()
    wanted = nn.functional.cross_entropy(expected.reshape(-1, 11), t(ids[:, 1:]).reshape(-1))
    wanted.backward()
    assert loss.item() == pytest.approx(wanted.item(), rel=RELATIVE)
    assert_gradients(ours, theirs)


def test_encoder_classifier() -> None:
    data = MostFrequentSymbol(samples=6)
    ids, labels = batch(*(data[i] for i in range(6)))
    assert (ids == 0).any()  # some sequences are padded
    ours = double(EncoderClassifier(data.vocab, 9, LAYERS, HEADS, WIDTH, 4, padding=0))
    tokens, layers = embedding(ours.token_embedding), []
    positions = nn.Parameter(t(ours.positions.weight._data))
    theirs: dict[str, Any] = {"positions.weight": positions, **ends("token_embedding", tokens)}
    for i, block in enumerate(ours.blocks):
        layers.append(nn.TransformerEncoderLayer(**options(True, "gelu")))
        theirs |= named(f"blocks.{i}", copy_block(layers[-1], block))
    last, head = layer_norm(ours.norm), linear(ours.head)
    theirs |= ends("norm", last) | ends("head", head)
    padded = t(ids == 0)
    x = tokens(t(ids)) + positions[: ids.shape[1]]
    for layer in layers:
        x = layer(x, src_key_padding_mask=padded)
    kept = (~padded)[..., None].double()
    expected = head((last(x) * kept).sum(1) / kept.sum(1))
    logits = ours(Tensor(ids))
    assert relative(logits._data, expected.detach().numpy()) < RELATIVE
    F.cross_entropy(logits, Tensor(labels)).backward()
    nn.functional.cross_entropy(expected, t(labels)).backward()
    assert_gradients(ours, theirs)


@pytest.mark.parametrize("norm_first", [True, False])
def test_encoder_decoder(norm_first: bool) -> None:
    data = CopiedSequences("reversed", samples=5)
    source, target, wanted = batch(*(data[i] for i in range(5)))
    assert (source == 0).any()
    ours = double(
        EncoderDecoder(
            data.vocab, 8, LAYERS, HEADS, WIDTH, padding=0, norm_first=norm_first, activation="relu"
        )
    )
    tokens = embedding(ours.token_embedding)
    table = t(ours.positions.table._data)
    theirs: dict[str, Any] = ends("token_embedding", tokens)
    encoder, decoder = [], []
    for i, block in enumerate(ours.encoder):
        encoder.append(nn.TransformerEncoderLayer(**options(norm_first, "relu")))
        theirs |= named(f"encoder.{i}", copy_block(encoder[-1], block))
    for i, block in enumerate(ours.decoder):
        decoder.append(nn.TransformerDecoderLayer(**options(norm_first, "relu")))
        theirs |= named(f"decoder.{i}", copy_block(decoder[-1], block))
    norms = {n: layer_norm(getattr(ours, n)) for n in ("encoder_norm", "decoder_norm")}
    head = linear(ours.head)
    for name, layer in {**norms, "head": head}.items():
        theirs |= ends(name, layer)
    memory = tokens(t(source)) + table[: source.shape[1]]
    padded = t(source == 0)
    for layer in encoder:
        memory = layer(memory, src_key_padding_mask=padded)
    memory = norms["encoder_norm"](memory)
    x = tokens(t(target)) + table[: target.shape[1]]
    mask = torch.triu(torch.ones(x.shape[1], x.shape[1], dtype=torch.bool), 1)
    for layer in decoder:
        x = layer(
            x,
            memory,
            tgt_mask=mask,
            tgt_key_padding_mask=t(target == 0),
            memory_key_padding_mask=padded,
        )
    expected = head(norms["decoder_norm"](x))
    logits = ours(Tensor(source), Tensor(target))
    assert relative(logits._data, expected.detach().numpy()) < RELATIVE
    n = data.vocab
    F.cross_entropy(logits.reshape(-1, n), Tensor(wanted).reshape(-1), ignore_index=0).backward()
    nn.functional.cross_entropy(
        expected.reshape(-1, n), t(wanted).reshape(-1), ignore_index=0
    ).backward()
    assert_gradients(ours, theirs)
