"""Models of PyTorch: places are named without a tape; what is frozen on purpose is left alone."""

from pathlib import Path

import pytest

from gradcheck import hookimpl
from gradcheck.testing import Kit

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional
ROOT = Path(__file__).parents[2]


class Digits(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.branch = nn.Linear(64, 12), nn.Linear(12, 12)
        self.norm, self.head = nn.LayerNorm(12), nn.Linear(12, 10)

    def changed(self, h):
        return self.branch(h).relu()

    def forward(self, x):
        h = self.norm(self.first(x.flatten(1)))
        return self.head(h + self.changed(h))


class FrozenLayer(Digits):
    def __init__(self):
        super().__init__()
        self.first.requires_grad_(False)


class FrozenOneByOne(Digits):
    def __init__(self):
        super().__init__()
        for p in self.first.parameters():
            p.requires_grad = False


class LowRank(Digits):
    """One of two factors starts at zero."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.randn(12, 4)), nn.Parameter(torch.zeros(4, 12))

    def changed(self, h):
        return self.branch(h).relu() + h @ self.a @ self.b


class GainSwitchedOff(Digits):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(12))
        self.gain.requires_grad = False

    def changed(self, h):
        return self.gain * self.branch(h).relu()


class LateLayer(Digits):
    def changed(self, h):
        if not hasattr(self, "late"):
            self.late = nn.Linear(12, 12).to(h.dtype)
        return self.late(self.branch(h)).relu()


class AllEqual(Digits):
    def __init__(self):
        super().__init__()
        for p in self.parameters():
            nn.init.constant_(p, 0.1)


class AllZero(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(64, 12), nn.Linear(12, 10)
        for p in self.parameters():
            nn.init.zeros_(p)

    def forward(self, x):
        return self.head(self.first(x.flatten(1)).tanh())


class DropsInEval(Digits):
    def changed(self, h):
        return F.dropout(self.branch(h), 0.3)


class BatchMoments(Digits):
    def changed(self, h):
        return F.batch_norm(self.branch(h), None, None, training=True)


class Attention(nn.Module):
    """ids (B, T) -> logits (B, T, 28)."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(28, 16), nn.Linear(16, 28)
        self.query, self.key, self.value = (nn.Linear(16, 16) for _ in range(3))

    def weights(self, scores):
        later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        return (scores / 4).masked_fill(later, -torch.inf).softmax(-1)

    def forward(self, ids):
        x = self.embedding(ids)
        scores = self.query(x) @ self.key(x).transpose(-1, -2)
        return self.head(x + self.weights(scores) @ self.value(x))


class LooksAhead(Attention):
    def weights(self, scores):
        later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(2)
        return (scores / 4).masked_fill(later, -torch.inf).softmax(-1)


class NotScaled(Attention):
    def weights(self, scores):
        return super().weights(4 * scores)


class Fused(Attention):
    def forward(self, ids):
        x = self.embedding(ids)
        q, k, v = self.query(x), self.key(x), self.value(x)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=1.0)
        return self.head(x + y)


DIGITS = "data: {name: digits, batch: 8}\nloss: cross_entropy"
TEXT = (
    "data: {name: char_sequences, batch: 4, length: 6, samples: 64}\nloss: sequence_cross_entropy"
)
RIGHT = [
    (FrozenLayer, DIGITS, "[graph, updates]"),
    (FrozenOneByOne, DIGITS, "[graph, updates]"),
    (LowRank, DIGITS, "[graph, updates, init]"),
    (Digits, DIGITS, "[graph, updates, init, determinism, batch_independence, accumulation]"),
    (Attention, TEXT, "[graph, updates, init, causality, batch_independence, determinism]"),
]
WRONG = [
    (GainSwitchedOff, DIGITS, "graph", "not_trainable", "gain", None),
    (LateLayer, DIGITS, "graph", "made_in_forward", "late.weight", None),
    (AllEqual, DIGITS, "init", "symmetric", None, None),
    (AllZero, DIGITS, "updates", "stuck", "first.weight", None),
    (DropsInEval, DIGITS, "determinism", "random_in_eval", None, "dropout"),
    (BatchMoments, DIGITS, "batch_independence", "depends_on_batch", None, "batch_norm"),
    (LooksAhead, TEXT, "causality", "sees_future", None, "softmax"),
    (NotScaled, TEXT, "init", "scores_too_large", None, "softmax"),
    (Fused, TEXT, "init", "scores_too_large", None, "scaled_dot_product_attention"),
]


@pytest.fixture(scope="module")
def kit():
    class Models:
        @hookimpl
        def gradcheck_register(self, register):
            for model in {entry[0] for entry in [*RIGHT, *WRONG]}:
                register.model(f"m_{model.__name__}", model, framework="pytorch")

    made = Kit([ROOT / "plugins"])
    made.register(Models())
    return made


def check(kit, model, data, checks):
    return kit.run_case(
        f"framework: pytorch\nmodel: m_{model.__name__}\n{data}\n"
        f"optimizer: {{name: adam, lr: 0.01}}\nchecks: {checks}"
    )


@pytest.mark.parametrize(
    ("model", "data", "checks"), RIGHT, ids=lambda v: getattr(v, "__name__", "")
)
def test_right(kit, model, data, checks):
    results = check(kit, model, data, checks)
    assert [(n, f.code, f.message) for n, r in results.items() for f in r.findings] == []
    assert {r.outcome for r in results.values()} == {"passed"}


@pytest.mark.parametrize("fault", WRONG, ids=lambda v: v[0].__name__)
def test_wrong_and_named(kit, fault):
    model, data, name, code, parameter, op = fault
    findings = check(kit, model, data, f"[{name}]")[name].findings
    assert findings[0].code == code, findings
    assert parameter is None or findings[0].parameter == parameter
    assert findings[0].op == op
    assert op is None or Path(findings[0].where.rpartition(":")[0]).name == Path(__file__).name
