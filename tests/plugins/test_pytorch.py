"""The adapter of PyTorch: the same cases, the same findings, on torch modules."""

import numpy as np
import pytest

from tests.support.results import codes

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from gradcheck import check_gradients, hookimpl  # noqa: E402
from gradcheck.testing import Kit  # noqa: E402

F = nn.functional


class Wrong(torch.autograd.Function):
    """x squared; the factor 2 is missing."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * x


class Two(nn.Module):
    """What the models have in common: digits -> logits; subclasses say what is between."""

    def __init__(self, hidden=16):
        super().__init__()
        self.first = nn.Linear(64, hidden)
        self.second = nn.Linear(hidden, 10)
        self.register_buffer("scale", torch.ones(hidden))

    def forward(self, x):
        return self.second(self.between(self.first(x.reshape(len(x), 64))))

    def between(self, h):
        return torch.tanh(h * self.scale)


class Detached(Two):
    def between(self, h):
        return torch.tanh(h.detach())


class Data(Two):
    def between(self, h):
        return torch.tanh(h.data)


class Rebuilt(Two):
    def between(self, h):
        return torch.tensor(torch.tanh(h), requires_grad=True)


class NoGrad(Two):
    def between(self, h):
        with torch.no_grad():
            return torch.tanh(h)


class ThroughNumpy(Two):
    def between(self, h):
        values = np.tanh(h.detach().numpy())
        return torch.from_numpy(values)


class ThroughNumbers(Two):
    def between(self, h):
        rows = torch.tanh(h).tolist()
        return torch.tensor(rows, dtype=h.dtype)


class Squares(Two):
    def between(self, h):
        return Wrong.apply(h)


class Hidden(Two):
    def __init__(self):
        super().__init__()
        self.more = [nn.Linear(16, 16)]

    def between(self, h):
        return torch.tanh(self.more[0](h))


class Frozen(Two):
    def __init__(self):
        super().__init__()
        self.first.requires_grad_(False)


class Norm(Two):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(16)
        self.drop = nn.Dropout(0.2)

    def between(self, h):
        return self.drop(torch.relu(self.norm(h)))


class Characters(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(28, 8)
        self.lstm = nn.LSTM(8, 12, batch_first=True)
        self.head = nn.Linear(12, 28)

    def forward(self, ids):
        return self.head(self.lstm(self.embedding(ids))[0])


MODELS = (Two, Detached, Data, Rebuilt, NoGrad, ThroughNumpy, ThroughNumbers, Squares, Hidden)
MODELS += (Frozen, Norm, Characters)


class Plugin:
    @hookimpl
    def gradcheck_register(self, register):
        for model in MODELS:
            register.model(model.__name__, model, framework="pytorch")
        register.op("softmax", F.softmax, framework="pytorch")
        register.op("gelu", F.gelu, framework="pytorch")
        register.op("wrong", Wrong.apply, framework="pytorch")


@pytest.fixture
def kit():
    kit = Kit()
    kit.register(Plugin(), "models")
    assert kit.failures == []
    return kit


DIGITS = """
framework: pytorch
model: {model}
data: {{name: digits, batch: 16}}
loss: cross_entropy
optimizer: {{name: adam, lr: 0.02}}
checks: {checks}
"""


def run(kit, model, checks="[graph, gradient, overfit, updates]"):
    return kit.run_case(DIGITS.format(model=model, checks=checks))


@pytest.mark.parametrize("model", ["Two", "Norm"])
def test_a_right_model_passes(kit, model):
    checks = "[graph, gradient, overfit, updates, init, determinism, batch_independence]"
    results = run(kit, model, checks)
    assert {n: (r.outcome, codes(r)) for n, r in results.items()} == dict.fromkeys(
        results, ("passed", [])
    )


def test_an_lstm_on_ids_passes(kit):
    results = kit.run_case(
        """
        framework: pytorch
        model: Characters
        data: {name: char_sequences, batch: 3, length: 6, samples: 12}
        loss: sequence_cross_entropy
        optimizer: {name: sgd, lr: 0.5}
        checks: [graph, gradient, updates, causality, alignment]
        """
    )
    assert {n: c for n, r in results.items() if (c := codes(r))} == {}


@pytest.mark.parametrize(
    ("op", "inputs", "args"),
    [("softmax", "{input: [3, 4]}", "{dim: 1}"), ("gelu", "{x: [2, 5]}", "{}")],
)
def test_a_right_op_passes(kit, op, inputs, args):
    result = kit.run_case(f"framework: pytorch\nop: {op}\ninputs: {inputs}\nargs: {args}")
    assert codes(result["gradient"]) == []


def test_a_wrong_backward_is_found(kit):
    result = kit.run_case("framework: pytorch\nop: wrong\ninputs: {x: [3, 4]}")["gradient"]
    assert codes(result)[0] == "wrong_gradient"
    assert np.isclose(result.findings[0].analytic / result.findings[0].numeric, 0.5)


def test_a_wrong_backward_inside_a_model_names_what_lies_before_it(kit):
    result = run(kit, "Squares", "[gradient]")["gradient"]
    assert {f.parameter for f in result.findings} <= {"first.weight", "first.bias"}
    assert codes(result)


@pytest.mark.parametrize(
    ("model", "line"),
    [
        ("Detached", "return torch.tanh(h.detach())"),
        ("Data", "return torch.tanh(h.data)"),
        ("Rebuilt", "return torch.tensor(torch.tanh(h), requires_grad=True)"),
        ("NoGrad", "return torch.tanh(h)"),
        ("ThroughNumpy", "values = np.tanh(h.detach().numpy())"),
        ("ThroughNumbers", "rows = torch.tanh(h).tolist()"),
    ],
)
@pytest.mark.filterwarnings("ignore:To copy construct from a tensor")
def test_a_cut_is_traced_to_its_line(kit, model, line):
    result = run(kit, model, "[graph]")["graph"]
    assert codes(result) == ["cut"]
    (finding,) = result.findings
    text = "\n".join([finding.message, *finding.lines])
    assert line in text
    assert "first.weight" in text
    with open(__file__) as file:
        lines = file.read().splitlines()
    number = int(finding.where.rpartition(":")[2])
    assert lines[number - 1].strip() == line


def test_a_cut_by_no_grad_names_the_first_operation_without_a_graph(kit):
    (finding,) = run(kit, "NoGrad", "[graph]")["graph"].findings
    assert finding.op == "tanh"
    assert f"first operation without a graph: tanh at {finding.where}" in finding.lines[1]


def test_a_module_in_a_plain_list_is_missed_by_parameters(kit):
    results = run(kit, "Hidden", "[graph, updates]")
    assert "not_in_parameters" in codes(results["graph"])
    assert "not_in_optimizer" in codes(results["updates"])


def test_a_frozen_layer_does_not_move(kit):
    results = run(kit, "Frozen", "{graph: {frozen: ['first.*']}, updates: {frozen: ['first.*']}}")
    assert {n: codes(r) for n, r in results.items()} == {"graph": [], "updates": []}


def test_a_tinytorch_model_has_pytorch_for_a_reference():
    class Same:
        @hookimpl
        def gradcheck_register(self, register):
            register.model("logistic", Reference, framework="pytorch")

    class Reference(nn.Module):
        def __init__(self, features, classes):
            super().__init__()
            self.linear = nn.Linear(features, classes)

        def forward(self, x):
            return self.linear(x)

    kit = Kit()
    kit.register(Same(), "same")
    result = kit.run_case(
        """
        model: logistic
        args: {features: 4, classes: 3}
        data: {name: iris, batch: 16}
        loss: cross_entropy
        checks: {reference: {framework: pytorch}}
        """
    )["reference"]
    assert codes(result) == []
    assert result.measurements["worst_relative_error"] < 1e-10


def test_without_torch_the_case_says_so(monkeypatch, kit):
    import sys

    from gradcheck.names.registry import UnknownName

    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [m for m in sys.modules if m.startswith("gradcheck.plugins.pytorch.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(UnknownName, match=r"framework 'pytorch' of plugin pytorch .* torch"):
        kit.registry.framework("pytorch")


class Several(Two):
    def forward(self, x):
        hidden = self.first(x.reshape(len(x), 64)).tanh()
        return {"logits": self.second(hidden), "hidden": (hidden, None)}


def several_step(model, batch, loss):
    return loss(model(batch[0])["logits"], batch[1])


def scheduled(model, batch, loss, optimizer):
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    optimizer.zero_grad()
    result = several_step(model, batch, loss)
    result.backward()
    optimizer.step()
    scheduler.step()
    return result


def never_cleared(model, batch, loss, optimizer):
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    result = several_step(model, batch, loss)
    result.backward()
    optimizer.step()
    scheduler.step()
    return result


class SeveralPlugin:
    def __init__(self, train):
        self.train = train

    @hookimpl
    def gradcheck_register(self, register):
        register.model("Several", Several, framework="pytorch")
        register.step("several", several_step, train=self.train, framework="pytorch")


SEVERAL = """
framework: pytorch
model: Several
data: {{name: digits, batch: 16}}
loss: cross_entropy
step: several
optimizer: {{name: adam, lr: 0.02}}
seed: {seed}
checks: [init, determinism, batch_independence, updates, multibatch, accumulation]
"""


@pytest.mark.parametrize("seed", range(2))
def test_several_outputs_and_a_scheduler_are_no_fault(seed):
    kit = Kit()
    kit.register(SeveralPlugin(scheduled), "several")
    results = kit.run_case(SEVERAL.format(seed=seed))
    assert {n: (r.outcome, codes(r)) for n, r in results.items()} == dict.fromkeys(
        results, ("passed", [])
    )


def test_a_fault_beside_a_scheduler_is_found():
    kit = Kit()
    kit.register(SeveralPlugin(never_cleared), "several")
    assert kit.run_case(SEVERAL.format(seed=0))["updates"].outcome == "failed"


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("between", [torch.tanh, Wrong.apply])
@pytest.mark.parametrize("seed", range(3))
def test_weight_norm_is_copied(between, seed):
    torch.manual_seed(seed)
    model = Two()
    model.between = between
    nn.utils.weight_norm(model.first)
    x = torch.randn(3, 64)
    model(x).sum().backward()
    before = {n: (p.clone(), p.grad.clone()) for n, p in model.named_parameters()}
    result = check_gradients(model, x, seed=seed)
    assert ("wrong_gradient" in codes(result)) == (between is not torch.tanh)
    assert (result.outcome == "passed") == (between is torch.tanh)
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name][0])
        assert torch.equal(p.grad, before[name][1])


@pytest.mark.parametrize("op", ["floor", "round", "trunc", "ceil"])
def test_stairs_that_are_meant_are_right(op):
    """At a thousand they are as fine as those of bfloat16."""
    for seed in range(4):
        x = 1000 * torch.randn(5, generator=torch.Generator().manual_seed(seed))
        result = check_gradients(getattr(torch, op), x, seed=seed)
        assert result.outcome == "passed", result.findings
