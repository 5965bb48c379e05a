"""Layers that train with PyTorch and refuse something that a check might ask of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck import check_gradients, hookimpl
from gradcheck.testing import Kit
from tests.support.results import codes

torch = pytest.importorskip("torch")
pytest.importorskip("gradcheck.plugins.pytorch.handwritten")
nn = torch.nn


def refuses_grad() -> None:
    if not torch.autograd._is_checkpoint_valid():
        raise RuntimeError("this layer is not compatible with .grad(): use .backward()")


class Checkpointed(torch.autograd.Function):
    """Runs `layer` again in the backward, as checkpointing does; `factor` plants a fault."""

    factor = 1.0

    @staticmethod
    def forward(ctx: Any, x: Any, layer: Any) -> Any:
        ctx.layer = layer
        ctx.save_for_backward(x)
        return layer(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        refuses_grad()
        x = ctx.saved_tensors[0].detach().requires_grad_()
        with torch.enable_grad():
            y = ctx.layer(x)
        torch.autograd.backward(y, Checkpointed.factor * g)
        return x.grad, None


class Reversible(torch.autograd.Function):
    """Keeps only its output, computes the input from it in the backward, and lets it go then."""

    factor = 1.0

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = torch.sinh(x)
        ctx.y = y.detach()
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        refuses_grad()
        x = torch.asinh(ctx.y)
        del ctx.y
        return Reversible.factor * g * torch.cosh(x)


class Net(nn.Module):
    def __init__(self, way: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.way = way
        self.first = nn.Linear(3, 5)
        self.second = nn.Linear(5, 2)

    def forward(self, x: Any) -> Any:
        if self.way == "reversible":
            return self.second(Reversible.apply(self.first(x)))
        if self.way == "reentrant":
            checkpoint = torch.utils.checkpoint.checkpoint
            return self.second(checkpoint(self.first, x.requires_grad_(), use_reentrant=True))
        return self.second(Checkpointed.apply(self.first(x), torch.tanh))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("function", [lambda x: Checkpointed.apply(x, torch.tanh),
                                      lambda x: Reversible.apply(x).cos()])  # fmt: skip
def test_an_op_that_refuses_grad_is_pulled_as_training_does(function: Any, seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal((3, 4))
    assert check_gradients(function, x, framework="pytorch", seed=seed).findings == ()


@pytest.mark.parametrize("way", ["checkpointed", "reversible", "reentrant"])
def test_a_model_with_layers_that_refuse_grad(way: str) -> None:
    import torch.utils.checkpoint  # noqa: F401

    x = np.random.default_rng(1).standard_normal((4, 3))
    result = check_gradients(Net(way), x, loss=lambda y: (y**2).mean())
    assert result.findings == ()


@pytest.mark.parametrize("kind", [Checkpointed, Reversible])
def test_a_fault_in_such_a_layer_is_seen(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "factor", 1.01)
    x = np.random.default_rng(1).standard_normal((4, 3))
    result = check_gradients(Net(kind.__name__.lower()), x, loss=lambda y: (y**2).mean())
    assert codes(result) == ["wrong_gradient"]
    assert result.findings[0].op == kind.__name__


class Experts(nn.Module):
    """Collects the results of its experts in a buffer of zeros shaped like the input."""

    def __init__(self, broken: bool = False) -> None:
        super().__init__()
        self.broken = broken
        self.first = nn.Linear(64, 6)
        self.gate = nn.Linear(6, 2)
        self.experts = nn.ModuleList([nn.Linear(6, 6) for _ in range(2)])
        self.last = nn.Linear(6, 10)

    def forward(self, x: Any) -> Any:
        h = self.first(x.flatten(1))
        scores = self.gate(h).softmax(-1)
        final = torch.zeros_like(h)
        for i, expert in enumerate(self.experts):
            rows = torch.where(scores.argmax(-1) == i)[0]
            given = h[rows].detach() if self.broken else h[rows]
            final.index_add_(0, rows, torch.tanh(expert(given)) * scores[rows, i, None])
        return self.last(final)


class Clamped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return torch.from_numpy(x.detach().numpy().clip(-1, 1) ** 3)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g * 3 * x**2 * (x.abs() < 1)


class WithFunction(nn.Module):
    def __init__(self, broken: bool = False) -> None:
        super().__init__()
        self.broken = broken
        self.first = nn.Linear(64, 6)
        self.last = nn.Linear(6, 10)

    def forward(self, x: Any) -> Any:
        h = Clamped.apply(self.first(x.flatten(1)))
        return self.last(torch.tensor(h.tolist(), dtype=h.dtype) if self.broken else h)


class EncoderDecoder(nn.Module):
    """Needs labels, by name, and returns its own loss."""

    def __init__(self, mixes: bool = False) -> None:
        super().__init__()
        self.mixes = mixes
        self.table = nn.Embedding(9, 6)
        self.head = nn.Linear(6, 9)

    def forward(self, input_ids: Any, attention_mask: Any = None, *, labels: Any) -> Any:
        scores = torch.zeros(input_ids.shape)
        if attention_mask is not None:
            scores = scores.masked_fill(~attention_mask, -torch.inf)
        weights = scores.softmax(-1).to(self.head.weight.dtype)[..., None]
        summary = (self.table(input_ids) * weights).sum(1, keepdim=True)
        if self.mixes:
            summary = summary.mean(0, keepdim=True)
        logits = self.head((self.table(labels.roll(1, 1)) + summary).tanh())
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        return {"loss": loss, "logits": logits, "cache": (summary, None)}


class Translations:
    def __len__(self) -> int:
        return 32

    def __getitem__(self, i: int) -> Any:
        rng = np.random.default_rng(i)
        return {
            "input_ids": rng.integers(0, 9, 5).astype(np.int32),
            "attention_mask": np.arange(5) <= 2 + i % 3,
            "labels": rng.integers(0, 9, 4),
        }


class Plugin:
    @hookimpl
    def gradcheck_register(self, register: Any) -> None:
        register.model("experts", Experts, framework="pytorch")
        register.model("with_function", WithFunction, framework="pytorch")
        register.model("encoder_decoder", EncoderDecoder, framework="pytorch")
        register.dataset("translations", Translations)


CASE = """
framework: pytorch
model: {model}
args: {{broken: {broken}}}
data: {{name: digits, batch: 8}}
loss: cross_entropy
checks: [graph]
"""


@pytest.fixture(scope="module")
def kit() -> Kit:
    kit = Kit()
    kit.register(Plugin(), "layers")
    return kit


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("model", ["experts", "with_function"])
def test_no_cut_where_only_a_shape_is_read_or_a_function_runs(
    kit: Kit, model: str, seed: int
) -> None:
    result = kit.run_case(CASE.format(model=model, broken="false") + f"seed: {seed}")["graph"]
    assert result.findings == ()
    assert not [note for note in result.notes if "takes part of the gradient" in note]


def test_a_cut_behind_a_function_is_still_traced(kit: Kit) -> None:
    finding = kit.run_case(CASE.format(model="with_function", broken="true"))["graph"].findings[0]
    assert finding.code == "cut"
    assert "h.tolist()" in " ".join(finding.lines)
    assert set(finding.data["parameters"]) == {"first.weight", "first.bias"}


OWN_LOSS = """
framework: pytorch
model: encoder_decoder
args: {mixes: false}
data: {name: translations, batch: 8}
step: own_loss
optimizer: {name: adam, lr: 0.05}
checks: [graph, gradient, updates, init, alignment, causality, batch_independence, determinism,
         accumulation, loader]
"""


@pytest.mark.parametrize("seed", range(2))
def test_a_model_that_needs_its_labels_and_returns_its_loss(kit: Kit, seed: int) -> None:
    results = kit.run_case(OWN_LOSS, seed=seed)
    assert {n: (r.outcome, r.findings) for n, r in results.items()} == {
        n: ("passed" if n not in ("init", "alignment", "causality") else r.outcome, ())
        for n, r in results.items()
    }
    mixing = OWN_LOSS.replace("mixes: false", "mixes: true")
    assert codes(kit.run_case(mixing, seed=seed)["batch_independence"]) == ["depends_on_batch"]


class Adversaries(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 64))
        self.critic = nn.Sequential(nn.Linear(64, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))


def noise(x: Any) -> Any:
    return torch.randn(len(x), 4, dtype=x.dtype)


def softplus_mean(x: Any) -> Any:
    return nn.functional.softplus(x).mean()


def of_both(model: Any, batch: Any, loss: Any) -> Any:
    x = batch[0].flatten(1)
    return softplus_mean(model.critic(model.generator(noise(x)))) + softplus_mean(-model.critic(x))


def in_turn(model: Any, batch: Any, loss: Any, optimizers: Any) -> Any:
    x = batch[0].flatten(1)
    optimizers["critic"].zero_grad()
    made = model.generator(noise(x)).detach()
    critic = softplus_mean(model.critic(made)) + softplus_mean(-model.critic(x))
    critic.backward()
    optimizers["critic"].step()
    optimizers["generator"].zero_grad()
    generator = softplus_mean(-model.critic(model.generator(noise(x))))
    generator.backward()
    if not getattr(model, "forgets", False):
        optimizers["generator"].step()
    return critic + generator


def two_optimizers(model: Any, lr: float) -> Any:
    return {
        name: torch.optim.Adam(getattr(model, name).parameters(), lr=lr)
        for name in ("generator", "critic")
    }


def only_biases(model: Any, lr: float) -> Any:
    made = two_optimizers(model, lr)
    biases = [p for n, p in model.generator.named_parameters() if n.endswith("bias")]
    return {**made, "generator": torch.optim.Adam(biases, lr=lr)}


class Forgets(Adversaries):
    forgets = True


class Gan:
    @hookimpl
    def gradcheck_register(self, register: Any) -> None:
        register.model("gan", Adversaries, framework="pytorch")
        register.model("forgets", Forgets, framework="pytorch")
        register.step("gan", of_both, train=in_turn, framework="pytorch")
        register.optimizer("two", two_optimizers, framework="pytorch")
        register.optimizer("only_biases", only_biases, framework="pytorch")


GAN = """
framework: pytorch
model: gan
data: {name: digits, batch: 8}
step: gan
optimizer: {name: two, lr: 0.001}
checks: [graph, gradient, updates, multibatch, determinism, batch_independence, causality]
"""


def test_two_optimizers() -> None:
    kit = Kit()
    kit.register(Gan(), "gan")
    for seed in range(2):
        results = kit.run_case(GAN, seed=seed)
        found = {n: codes(r) for n, r in results.items()}
        assert found.pop("multibatch") in ([], ["loss_not_falling"])
        assert not any(found.values()), found
    checks = "checks: [updates]"
    start = GAN.partition("checks:")[0]
    forgets = kit.run_case(start.replace("model: gan", "model: forgets") + checks)
    assert codes(forgets["updates"]) == ["no_step"]
    half = kit.run_case(start.replace("name: two", "name: only_biases") + checks)
    assert codes(half["updates"]) == ["not_in_optimizer"]


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(64, 10)

    def forward(self, x: Any) -> Any:
        return self.first(x.flatten(1))


def plain(model: Any, batch: Any, loss: Any) -> Any:
    return loss(model(batch[0]), batch[1])


def by_closure(model: Any, batch: Any, loss: Any, optimizer: Any) -> Any:
    def closure() -> Any:
        optimizer.zero_grad()
        value = plain(model, batch, loss)
        value.backward()
        return value

    return optimizer.step(closure)


def never_cleared(model: Any, batch: Any, loss: Any, optimizer: Any) -> Any:
    def closure() -> Any:
        value = plain(model, batch, loss)
        value.backward()
        return value

    return optimizer.step(closure)


class Closures:
    @hookimpl
    def gradcheck_register(self, register: Any) -> None:
        register.model("small", Small, framework="pytorch")
        register.step("by_closure", plain, train=by_closure, framework="pytorch")
        register.step("never_cleared", plain, train=never_cleared, framework="pytorch")


CLOSURE = """
framework: pytorch
model: small
data: {{name: digits, batch: 8}}
loss: cross_entropy
step: {step}
optimizer: {{name: {optimizer}, lr: 0.01}}
checks: [updates]
"""


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_step_with_a_closure(optimizer: str) -> None:
    kit = Kit()
    kit.register(Closures(), "closures")
    for seed in range(3):
        right = kit.run_case(CLOSURE.format(step="by_closure", optimizer=optimizer), seed=seed)
        assert right["updates"].findings == ()
    wrong = kit.run_case(CLOSURE.format(step="never_cleared", optimizer=optimizer))
    assert wrong["updates"].outcome == "failed"
