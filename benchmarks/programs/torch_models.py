"""Models of PyTorch as they are written elsewhere, with their steps; all are right."""

# ruff: noqa: E501  a row is a program

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from torch import nn

from gradcheck import Register, hookimpl

CHECKS = "[graph, gradient, updates, determinism, batch_independence, loader]"


@dataclass(frozen=True)
class Model:
    """make: the model. step, train: as cases register them. checks: those that apply."""

    name: str
    make: Callable[[], Any]
    step: Callable[..., Any] | None = None
    train: Callable[..., Any] | None = None
    optimizer: Callable[..., Any] | None = None
    checks: str = CHECKS
    data: str = "{name: digits, batch: 8}"


class Of(nn.Module):
    """A module of parts and of how they are put together: forward(self, x)."""

    def __init__(self, forward: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.how = [forward]
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Any, *rest: Any, **named: Any) -> Any:
        return self.how[0](self, x, *rest, **named)


def flat(x: Any) -> Any:
    return x.flatten(1)


def head(width: int = 12) -> Any:
    return nn.Linear(width, 10)


def body(width: int = 12) -> Any:
    return nn.Linear(64, width)


def images(x: Any) -> Any:
    return x.reshape(len(x), 1, 8, 8)


def _moe(m: Any, x: Any) -> Any:
    h = m.body(flat(x))
    scores = m.gate(h).softmax(-1)
    out = torch.zeros_like(h)
    for i, expert in enumerate(m.experts):
        rows = torch.where(scores.argmax(-1) == i)[0]
        out = out.index_add(0, rows, torch.tanh(expert(h[rows])) * scores[rows, i, None])
    return m.head(out)


def _dense_moe(m: Any, x: Any) -> Any:
    h = m.body(flat(x))
    return sum(m.gate(h).softmax(-1)[:, i, None] * e(h) for i, e in enumerate(m.experts))


def _vae(m: Any, x: Any) -> Any:
    h = torch.tanh(m.body(flat(x)))
    mean, log_var = m.to_code(h).chunk(2, -1)
    noise = torch.randn_like(mean) if m.training else torch.zeros_like(mean)
    return m.decode(mean + (0.5 * log_var).exp() * noise), mean, log_var


def _vae_step(model: Any, batch: Any, loss: Any) -> Any:
    made, mean, log_var = model(batch[0])
    rebuilt = F.mse_loss(made, flat(batch[0]))
    return rebuilt + 0.01 * 0.5 * (mean**2 + log_var.exp() - log_var - 1).mean()


def _attention(m: Any, x: Any) -> Any:
    h = m.embed(x.reshape(len(x), 8, 8))
    q, k, v = m.qkv(h).chunk(3, -1)
    return m.head(F.scaled_dot_product_attention(q, k, v).mean(1))


def _masked_attention(m: Any, x: Any) -> Any:
    rows = x.reshape(len(x), 8, 8)
    mask = torch.arange(8) < 6
    h, _ = m.attention(
        m.embed(rows), m.embed(rows), m.embed(rows), key_padding_mask=~mask.expand(len(x), 8)
    )
    return m.head(h.mean(1))


def _norm_step(model: Any, batch: Any, loss: Any) -> Any:
    output = model(batch[0])
    return loss(output["logits"], batch[1]) + 1e-3 * output["norm"]


def _contrastive(model: Any, batch: Any, loss: Any) -> Any:
    a = F.normalize(model(batch[0]), dim=-1)
    b = F.normalize(model(0.9 * batch[0] + 0.05), dim=-1)
    return F.cross_entropy(a @ b.T / 0.5, torch.arange(len(a)))


def _triplet(model: Any, batch: Any, loss: Any) -> Any:
    h = model(batch[0])
    return F.triplet_margin_loss(h, h.roll(1, 0), h.roll(2, 0), margin=5.0)


def _plain(model: Any, batch: Any, loss: Any) -> Any:
    return loss(model(batch[0]), batch[1])


def _scheduled(model: Any, batch: Any, loss: Any, optimizer: Any) -> Any:
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    optimizer.zero_grad()
    value = _plain(model, batch, loss)
    value.backward()
    optimizer.step()
    scheduler.step()
    return value


def _clipped(model: Any, batch: Any, loss: Any, optimizer: Any) -> Any:
    assert isinstance(optimizer, torch.optim.Optimizer)
    optimizer.zero_grad(set_to_none=True)
    value = _plain(model, batch, loss)
    value.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.37)
    optimizer.step()
    return value


def _accumulating(model: Any, batch: Any, loss: Any, optimizer: Any) -> Any:
    optimizer.zero_grad()
    total = 0.0
    for x, y in zip(batch[0].chunk(2), batch[1].chunk(2)):
        value = loss(model(x), y) / 2
        value.backward()
        total = total + value.detach()
    optimizer.step()
    return total


def _averaging(model: Any, batch: Any, loss: Any, optimizer: Any) -> Any:
    optimizer.zero_grad()
    value = _plain(model, batch, loss)
    value.backward()
    optimizer.step()
    with torch.no_grad():
        for mean, p in zip(model.average.parameters(), model.student.parameters()):
            mean.lerp_(p, 0.1)
    return value


def _closure(model: Any, batch: Any, loss: Any, optimizer: Any) -> Any:
    def closure() -> Any:
        optimizer.zero_grad()
        value = _plain(model, batch, loss)
        value.backward()
        return value

    return optimizer.step(closure)


def _teacher() -> Any:
    student, average = body(10), body(10)
    average.load_state_dict(student.state_dict())
    for p in average.parameters():
        p.requires_grad_(False)
    return Of(lambda m, x: m.student(flat(x)), student=student, average=average)


def _frozen() -> Any:
    first = body()
    for p in first.parameters():
        p.requires_grad_(False)
    return Of(lambda m, x: m.head(torch.tanh(m.first(flat(x)))), first=first, head=head())


def _tied() -> Any:
    return Of(lambda m, x: F.linear(torch.tanh(m.first(flat(x))), m.first.weight.T), first=body())


def _rebuild(model: Any, batch: Any, loss: Any) -> Any:
    return F.mse_loss(model(batch[0]), flat(batch[0]))


def _groups(model: Any, lr: float) -> Any:
    weights = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    return torch.optim.AdamW(
        [{"params": weights, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}], lr=lr
    )


def _mlp(between: Callable[[Any], Any], **parts: Any) -> Callable[[], Any]:
    return lambda: Of(lambda m, x: m.head(between(m.body(flat(x)))), body=body(), head=head())


def _layer(make: Callable[[], Any], width: int = 12) -> Callable[[], Any]:
    return lambda: Of(
        lambda m, x: m.head(torch.tanh(m.inner(m.body(flat(x))))),
        body=body(),
        inner=make(),
        head=head(width),
    )


def _conv(*layers: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: Of(
        lambda m, x: m.head(m.inner(images(x)).mean((2, 3))),
        inner=nn.Sequential(*[layer() for layer in layers]),
        head=nn.Linear(4, 10),
    )


def conv(i: int = 1, **args: Any) -> Callable[[], Any]:
    return lambda: nn.Conv2d(i, 4, 3, padding=1, **args)


def _recurrent(kind: Any) -> Callable[[], Any]:
    def last(m: Any, x: Any) -> Any:
        return m.head(m.inner(x.reshape(len(x), 8, 8))[0][:, -1])

    return lambda: Of(last, inner=kind(8, 6, batch_first=True), head=nn.Linear(6, 10))


NO_UPDATES = "[graph, gradient, determinism, batch_independence]"
MIXES = "[graph, gradient, updates, determinism]"
ACTIVATIONS = (
    "relu",
    "gelu",
    "silu",
    "elu",
    "softplus",
    "leaky_relu",
    "tanh",
    "sigmoid",
    "mish",
    "hardtanh",
)
MODELS: list[Model] = [
    *[Model(f"mlp_{name}", _mlp(getattr(F, name))) for name in ACTIVATIONS],
    Model("softmax_inside", _mlp(lambda h: h.softmax(-1))),
    Model("gated", _mlp(lambda h: h * h.sigmoid())),
    Model("residual", _mlp(lambda h: h + torch.tanh(h))),
    Model("checkpointed", _mlp(lambda h: torch.utils.checkpoint.checkpoint(torch.tanh, h, use_reentrant=True))),
    Model("sorted", _mlp(lambda h: h.sort(-1).values)),
    Model("top_half", _mlp(lambda h: h * (h >= h.median(-1, keepdim=True).values))),
    Model("dropout", _mlp(lambda h: h), step=lambda m, b, loss: loss(F.dropout(m(b[0]), 0.1, m.training), b[1])),
    Model("layer_norm", _layer(lambda: nn.LayerNorm(12))),
    Model("rms_norm", _layer(lambda: nn.RMSNorm(12))),
    Model("batch_norm", _layer(lambda: nn.BatchNorm1d(12))),
    Model("dropout_layer", _layer(lambda: nn.Dropout(0.3))),
    Model("prelu", _layer(lambda: nn.PReLU(12))),
    Model("glu", _layer(nn.GLU, 6)),
    Model("maxout", lambda: Of(lambda m, x: m.head(m.body(flat(x)).reshape(-1, 6, 2).amax(-1)), body=body(), head=head(6))),
    Model("spectral_norm", _layer(lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(12, 12))), checks="[graph, gradient, batch_independence]"),
    Model("weight_norm", _layer(lambda: nn.utils.parametrizations.weight_norm(nn.Linear(12, 12)))),
    Model("orthogonal", _layer(lambda: nn.utils.parametrizations.orthogonal(nn.Linear(12, 12))), checks=NO_UPDATES),
    Model("conv", _conv(conv(), nn.ReLU, conv(4))),
    Model("conv_group_norm", _conv(conv(), lambda: nn.GroupNorm(2, 4), nn.SiLU)),
    Model("conv_instance_norm", _conv(conv(), lambda: nn.InstanceNorm2d(4, affine=True), nn.ReLU), checks=NO_UPDATES),
    Model("conv_batch_norm", _conv(conv(bias=False), lambda: nn.BatchNorm2d(4), nn.ReLU)),
    Model("conv_depthwise", _conv(conv(), conv(4, groups=4), nn.GELU)),
    Model("conv_pool", _conv(conv(), nn.ReLU, lambda: nn.MaxPool2d(2))),
    Model("conv_transposed", _conv(conv(), nn.Tanh, lambda: nn.ConvTranspose2d(4, 4, 2, 2))),
    Model("lstm", _recurrent(nn.LSTM)),
    Model("gru", _recurrent(nn.GRU)),
    Model("rnn", _recurrent(nn.RNN)),
    Model("attention", lambda: Of(_attention, embed=nn.Linear(8, 8), qkv=nn.Linear(8, 24), head=head(8))),
    Model("masked_attention", lambda: Of(_masked_attention, embed=nn.Linear(8, 8), attention=nn.MultiheadAttention(8, 2, batch_first=True), head=head(8))),
    Model("encoder_layer", lambda: Of(lambda m, x: m.head(m.inner(m.embed(x.reshape(len(x), 8, 8))).mean(1)), embed=nn.Linear(8, 8), inner=nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), head=head(8))),
    Model("mixture_top_one", lambda: Of(_moe, body=body(), gate=nn.Linear(12, 2), experts=nn.ModuleList([nn.Linear(12, 12) for _ in range(2)]), head=head()), checks="[graph, gradient, determinism, batch_independence]"),
    Model("mixture_dense", lambda: Of(_dense_moe, body=body(), gate=nn.Linear(12, 2), experts=nn.ModuleList([head() for _ in range(2)]))),
    Model("vae", lambda: Of(_vae, body=body(), to_code=nn.Linear(12, 8), decode=nn.Linear(4, 64)), _vae_step),
    Model("several_results", lambda: Of(lambda m, x: {"logits": (h := m.head(torch.tanh(m.body(flat(x))))), "norm": (h * h).mean()}, body=body(), head=head()), _norm_step),
    Model("tied_autoencoder", _tied, _rebuild),
    Model("contrastive", lambda: Of(lambda m, x: m.body(flat(x)), body=body()), _contrastive, checks=MIXES),
    Model("triplet", lambda: Of(lambda m, x: m.body(flat(x)), body=body()), _triplet),
    Model("frozen_part", _frozen),
    Model("scheduler", _mlp(torch.tanh), _plain, _scheduled),
    Model("clipped", _mlp(torch.tanh), _plain, _clipped),
    Model("accumulating", _mlp(torch.tanh), _plain, _accumulating),
    Model("averaged_teacher", _teacher, _plain, _averaging, checks="[gradient, updates, determinism]"),
    Model("closure", _mlp(torch.tanh), _plain, _closure, lambda p, lr: torch.optim.SGD(p, lr)),
    Model("parameter_groups", _mlp(torch.tanh), optimizer=_groups),
    Model("shared_layer", lambda: Of(lambda m, x: m.head(torch.tanh(m.inner(torch.tanh(m.inner(m.body(flat(x))))))), body=body(), inner=nn.Linear(12, 12), head=head())),
    Model("recurrent_by_hand", lambda: Of(lambda m, x: m.head(_unrolled(m, x)), cell=nn.GRUCell(8, 6), head=head(6))),
    Model("scale_parameter", lambda: Of(lambda m, x: m.head(m.body(flat(x))) * m.scale.exp(), body=body(), head=head(), scale=nn.Parameter(torch.zeros(())))),
    Model("embedded_pixels", lambda: Of(lambda m, x: m.head(m.table((flat(x) * 7.9).abs().long().clamp(0, 15)).mean(1)), table=nn.Embedding(16, 12), head=head())),
    Model("list_of_layers", lambda: Of(lambda m, x: m.last(sum(torch.tanh(layer(flat(x))) for layer in m.layers)), layers=nn.ModuleList([body() for _ in range(3)]), last=head())),
]  # fmt: skip


def _unrolled(m: Any, x: Any) -> Any:
    state = x.new_zeros(len(x), 6)
    for row in x.reshape(len(x), 8, 8).unbind(1):
        state = m.cell(row, state)
    return state


class Plugin:
    """Registers the models and what belongs to them, all under the name of the model."""

    @hookimpl
    def gradcheck_register(self, register: Register) -> None:
        for model in MODELS:
            name, torch_ = f"program_{model.name}", {"framework": "pytorch"}
            register.model(name, model.make, **torch_)
            if model.step is not None:
                register.step(name, model.step, train=model.train, **torch_)
            if model.optimizer is not None:
                register.optimizer(name, model.optimizer, **torch_)


def cases() -> Iterator[tuple[str, str]]:
    """(name, the keys of a case) of every model."""
    for model in MODELS:
        name = f"program_{model.name}"
        lines = [
            "framework: pytorch",
            f"model: {name}",
            f"data: {model.data}",
            "loss: cross_entropy",
        ]
        lines += [f"step: {name}"] * (model.step is not None)
        chosen = name if model.optimizer is not None else "adam"
        lines += [f"optimizer: {{name: {chosen}, lr: 0.01}}", f"checks: {model.checks}"]
        yield model.name, "\n".join(lines)
