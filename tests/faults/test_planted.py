"""The promise, op by op: what is wrong with a gradient turns the case of that op red, by name.

Faults are planted into the op itself (`Op.fn`), and every check runs as `pytest --gradcheck` would
run it. `test_planted_files.py` does the same to files of a copied tree. That
the same cases pass without a fault is what `pytest --gradcheck` itself shows.
"""

import inspect
import textwrap
from pathlib import Path

import numpy as np
import pytest

from gradcheck.engine import entry_of, run_check
from gradcheck.names import load as plugins
from gradcheck.report.text import failure_text
from gradcheck.yamlcases.load import load_cases
from tinytorch import OPS, Tensor, nn

ROOT = Path(__file__).parents[2]
OURS = sorted(n for n, op in OPS.items() if op.__module__.partition(".")[0] == "tinytorch")


@pytest.fixture(scope="module")
def registry():
    return plugins.load([ROOT / "plugins"])


@pytest.fixture(scope="module")
def cases(registry):
    files = [load_cases(path, registry, ROOT) for path in sorted((ROOT / "cases").rglob("*.yaml"))]
    return [case for file in files for case in file.cases if not case.xfail]


@pytest.fixture
def run(registry, cases):
    """Run one check of the cases of an op or model until one fails; the text, or None."""

    def run(name: str, check: str = "gradient") -> str | None:
        mine = [c for c in cases if name in (c.op, c.name) and check in c.checks]
        assert mine, f"{name} has no case with {check}"
        for case in mine:
            result = run_check(case, check, registry)
            if result.outcome == "failed":
                return failure_text(entry_of(case, check, seed=0).with_result(result))
        return None

    return run


def plant(monkeypatch, name: str, spoil) -> None:
    """Every cotangent that the pullback of op `name` returns goes through `spoil`."""
    op = OPS[name]
    right = op.fn

    def each(parts):
        if isinstance(parts, tuple):
            return tuple(None if p is None else spoil(np.asarray(p)) for p in parts)
        return spoil(np.asarray(parts))

    def fn(*args, **kwargs):
        y, pullback = right(*args, **kwargs)
        if isinstance(pullback, tuple):
            return y, tuple(None if f is None else (lambda g, f=f: each(f(g))) for f in pullback)
        return y, lambda g: each(pullback(g))

    monkeypatch.setattr(op, "fn", fn)


@pytest.mark.parametrize("name", OURS)
def test_a_pullback_scaled_by_one_thousandth_is_named(monkeypatch, run, name):
    plant(monkeypatch, name, lambda g: g * 1.001)
    text = run(name)
    assert text is not None
    assert f"op {name}" in text or f"{name} is called at" in text


@pytest.mark.parametrize("name", OURS)
def test_a_flipped_sign_is_named(monkeypatch, run, name):
    plant(monkeypatch, name, lambda g: -g)
    text = run(name)
    assert text is not None
    assert name in text


@pytest.mark.parametrize("name", ["relu", "layer_norm", "conv2d", "matmul", "embedding", "gather"])
def test_an_entry_off_by_one_in_a_million_is_seen(monkeypatch, run, name):
    def spoil(g):
        g = np.array(g)
        if g.size:
            g.reshape(-1)[np.argmax(np.abs(g))] *= 1 + 1e-6
        return g

    plant(monkeypatch, name, spoil)
    assert run(name) is not None


DROPPED = {
    # op: (what stands in its source, the same with a term or factor less)
    "tanh": ("(1 - y * y)", "(1 - y)"),
    "sigmoid": ("g * y * (1 - y)", "g * y"),
    "silu": ("(1 + x * (1 - s))", "(1 + x)"),
    "sqrt": ("g / (2 * y)", "g / y"),
    "div": ("-g * a / (b * b)", "-g * a / b"),
    "mul": ("lambda g: g * b", "lambda g: g"),
    "softmax": ("(g - (g * y)", "(g - (g)"),
    "log_softmax": ("g - np.exp(y)", "-np.exp(y)"),
    "mean": ("spread(g / n", "spread(g"),
    "var": ("(2 * share)", "share"),
    "cumsum": ("np.flip(np.cumsum(np.flip(g, dim), axis=dim), dim)", "np.cumsum(g, axis=dim)"),
    "logsumexp": ("* np.exp(x - kept)", "* np.exp(x)"),
    "layer_norm": ("lambda g: g * xhat", "lambda g: g"),
}


def source_of(name: str) -> str:
    text = textwrap.dedent(inspect.getsource(OPS[name].fn))
    return text[text.index("def ") :]


@pytest.mark.parametrize("name", DROPPED)
def test_a_dropped_term_is_named(monkeypatch, run, name):
    source, (right, wrong) = source_of(name), DROPPED[name]
    assert right in source, f"the source of {name} has changed; plant another fault:\n{source}"
    scope = dict(OPS[name].fn.__globals__)
    exec(source.replace(right, wrong), scope)
    monkeypatch.setattr(OPS[name], "fn", scope[OPS[name].fn.__name__])
    text = run(name)
    assert text is not None
    assert name in text


def rebuilt(forward):
    """A forward that takes its result out of the graph, as `Tensor(y.data)` does."""
    return lambda *args: Tensor(forward(*args).data)


@pytest.mark.parametrize(
    ("owner", "method", "case", "cut_off"),
    [
        (nn.ReLU, "forward", "mlp_digits", "layers.0.weight"),
        (nn.Tanh, "forward", "mlp_iris", "layers.0.weight"),
        (Tensor, "relu", "cnn_digits", "conv1.weight"),
        (Tensor, "tanh", "xor", "hidden.weight"),
        (nn.Embedding, "forward", "char_lstm", "embedding.weight"),
        (nn.MaxPool2d, "forward", "cnn_digits", "conv2.bias"),
        (nn.Linear, "forward", "logistic_iris", "linear.weight"),
    ],
    ids=lambda v: getattr(v, "__name__", str(v)),
)
def test_a_rebuilt_tensor_names_the_parameters_and_the_line(
    monkeypatch, run, owner, method, case, cut_off
):
    assert run(case, "graph") is None
    monkeypatch.setattr(owner, method, rebuilt(getattr(owner, method)))
    text = run(case, "graph")
    assert text is not None
    assert cut_off in text
    assert "Tensor(forward(*args).data)" in text
