"""The tracer: what it sees, and that it leaves nothing behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck.checks.graph.advice import rewrite
from gradcheck.frameworks.tinytorch_trace import Trace
from gradcheck.source.line import Line
from gradcheck.source.text import name_in, statement, target_of, text_of
from tinytorch import Op, Tensor, no_grad
from tinytorch.traced_array import TracedArray
from tinytorch.tracing import Tracer


def traced() -> Tracer:
    tracer = Tracer()
    tracer.built()
    return tracer


def test_off_means_off() -> None:
    before = dict(vars(Tensor)), dict(vars(Op)), dict(vars(no_grad.__mro__[1]))
    with traced():
        assert vars(Tensor)["data"] is not vars(Tensor)["_data"]
    assert (dict(vars(Tensor)), dict(vars(Op)), dict(vars(no_grad.__mro__[1]))) == before
    with pytest.raises(ZeroDivisionError), traced():
        _ = 1 / 0
    assert (dict(vars(Tensor)), dict(vars(Op)), dict(vars(no_grad.__mro__[1]))) == before
    assert vars(Tensor)["data"] is vars(Tensor)["_data"]  # the same C descriptor, the same path
    assert type(Tensor([1.0]).data) is np.ndarray


def test_values_and_gradients_are_the_same_while_traced() -> None:
    def run() -> tuple[Any, Any, Any]:
        w = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
        y = (w * w.data.max() + w.exp().data[0]).sum() + float(w.sum()) + w.mean().item()
        y.backward()
        return y.item(), w.grad, type(y._data)

    plain = run()
    with traced():
        again = run()
    assert plain[0] == again[0]
    np.testing.assert_array_equal(plain[1], again[1])
    assert plain[2] is again[2] is np.ndarray


def source_of(make: Any) -> Any:
    """The tensor from which the tracer says that `make(x)` took its values; x is (4, 6)."""
    with traced() as tracer:
        w = Tensor(np.random.default_rng(0).normal(size=(4, 6)), requires_grad=True)
        x = w * 2.0
        result = make(x)
        if not isinstance(result, Tensor):
            result = Tensor(result)
        cuts = Trace(tracer).cuts(result, {"w": w})
    assert len(cuts) == 1
    assert cuts[0].upstream == ("w",)
    assert cuts[0].where.rpartition(":")[0].endswith("test_tracing.py")
    assert cuts[0].source in ("mul", "getitem", "sum")
    assert cuts[0].source_where is not None
    return cuts[0]


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x.data,
        lambda x: x.numpy(),
        lambda x: x.data.T,
        lambda x: x.data[1:3, ::2],
        lambda x: x.data[[0, 2]],
        lambda x: x.data[x.data > 0],
        lambda x: np.exp(x.data),
        lambda x: x.data @ x.data.T,
        lambda x: np.einsum("ij,kj->ik", x.data, x.data),
        lambda x: np.concatenate([x.data, x.data]),
        lambda x: np.where(x.data > 0, x.data, 0),
        lambda x: np.sum(x.data, axis=0),
        lambda x: np.mean(x.data),
        lambda x: np.split(x.data, 2)[1],
        lambda x: np.add.reduce(x.data),
        lambda x: np.add(x.data, 1, out=np.zeros((4, 6))) + x.data,
        lambda x: np.array(x.data),
        lambda x: np.asarray(x.data),
        lambda x: x.data.copy(),
        lambda x: x.data.astype(np.float32),
        lambda x: np.array(x.data.tolist()),
        lambda x: x.tolist(),
        lambda x: np.ascontiguousarray(np.array(x.data).T),
        lambda x: float(x.data[0, 0]),
        lambda x: x[0, 0].item(),
        lambda x: float(x.sum()),
        lambda x: [float(v) for v in x.data[0]],
        lambda x: Tensor(x),
        lambda x: x.detach() * 3,
        lambda x: Tensor(np.zeros((4, 6))) + x.data,
        lambda x: np.array(x.data) * 2,
        lambda x: np.linalg.svd(x.data)[1],
        lambda x: np.linalg.qr(x.data).Q,
        lambda x: np.frombuffer(x.data.tobytes()).reshape(4, 6) * 2,
    ],
)
def test_values_are_followed(make: Any) -> None:
    source_of(make)


def test_integers_and_constants_are_no_cuts() -> None:
    with traced() as tracer:
        w = Tensor(np.random.default_rng(0).normal(size=(4, 6)), requires_grad=True)
        x = w * 2.0
        ids = Tensor(np.argmax(x.data, axis=1))
        y = Tensor(np.ones((4, 6))) * Tensor(np.zeros(6)) + 3.0
        z = x[Tensor(np.arange(4)), ids] + y.sum()
        cuts = Trace(tracer).cuts(z, {"w": w})
    assert cuts == []


def test_what_happens_while_the_model_is_made_does_not_count() -> None:
    with Tracer() as tracer:
        a = Tensor(np.arange(3.0), requires_grad=True)
        b = Tensor(a.data * 2, requires_grad=True)
        tracer.built()
        assert Trace(tracer).cuts((b * 2).sum(), {"a": a}) == []
        lines = [int(str(Trace(tracer).made_at(t)).rpartition(":")[2]) for t in (a, b)]
    assert lines[1] == lines[0] + 1


def test_in_place_changes_through_data_work_while_traced() -> None:
    with traced():
        x = Tensor(np.ones(3))
        x.data[...] = 2
        x.data += 1
        x.data = x.data * 2
        assert type(x._data) is np.ndarray
    np.testing.assert_array_equal(x.data, [6, 6, 6])


def test_numpy_scalars_stay_usable() -> None:
    with traced():
        x = Tensor(np.ones(3)) * 2.0
        mean = np.mean(x.data)
        assert isinstance(mean, TracedArray)
        assert f"{mean:.2f}" == "2.00"
        assert round(mean, 1) == 2.0
        assert mean > 1
        assert {mean: 1}[mean] == 1
        assert int(mean) == 2
        assert isinstance(float(mean), float)
        values, counts = np.unique(x.data, return_counts=True)
        assert counts.tolist() == [3]
        assert values.shape == (1,)
        np.testing.assert_allclose(x.data, 2)


# --- source text ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("y = Tensor(logits.data.reshape(-1, v))", "logits.reshape(-1, v)"),
        ("y = Tensor(np.exp(x.data))", "x.exp()"),
        ("y = Tensor(np.transpose(x.data, (0, 2, 1)))", "x.permute((0, 2, 1))"),
        ("y = Tensor(x.data.transpose(0, 2, 1))", "x.permute(0, 2, 1)"),
        ("y = Tensor(np.transpose(x.data))", "x.T"),
        ("y = Tensor(self.table.data[:t])", "self.table[:t]"),
        ("y = Tensor(np.array(x.data))", "x"),
        ("return Tensor(float(np.mean(x.data)))", "x.mean()"),
        ("y = Tensor(np.sum(x.data, axis=1, keepdims=True))", "x.sum(dim=1, keepdim=True)"),
        ("y = Tensor(np.concatenate([a.data, b.data], axis=1))", "cat([a, b], axis=1)"),
        ("y = tinytorch.Tensor(x.numpy() * 2)", "x * 2"),
        ("y = torch.tensor(x.item())", "x"),
        ("y = Tensor(a)", None),
        ("y = x.relu()", None),
        ("with no_grad():", None),
    ],
)
def test_rewriting_a_line(line: str, instead: str | None) -> None:
    assert rewrite(line) == instead


def test_source_text(tmp_path: Any) -> None:
    file = tmp_path / "m.py"
    file.write_text(
        "@decorator\n"
        "def f(x):\n"
        "    h = Tensor(\n"
        "        x.layer.data.reshape(-1,\n"
        "                       2))\n"
        "    if h: return float(h)\n"
        "    with no_grad():\n"
        "        a, b = h\n"
    )
    path = str(file)
    assert text_of(Line(path, 4)) == "h = Tensor( x.layer.data.reshape(-1, 2))"
    assert name_in(Line(path, 5)) == "x.layer"
    assert target_of(Line(path, 3)) == "h"
    assert target_of(Line(path, 8)) is None
    assert name_in(Line(path, 6)) == "h"
    assert text_of(Line(path, 7)) == "with no_grad():"
    assert text_of(Line(path, 1)) == "@decorator"
    assert statement(Line(path, 99)) is None
    (tmp_path / "broken.py").write_text("def f(:\n")
    assert text_of(Line(str(tmp_path / "broken.py"), 1)) == "def f(:"


def test_a_cut_inside_the_library_names_that_line(tmp_path: Any) -> None:
    """A bug in a copy of tinytorch itself: its line is the place, the user's the way to it."""
    import os

    import tinytorch

    planted = os.path.join(os.path.dirname(tinytorch.__file__), "nn", "planted.py")
    names: dict[str, Any] = {"Tensor": Tensor}
    source = "def act(x):\n    y = x * 2\n    return Tensor(y.data)\n"
    exec(compile(source, planted, "exec"), names)
    with traced() as tracer:
        w = Tensor(np.random.default_rng(0).normal(size=3), requires_grad=True)
        cuts = Trace(tracer).cuts(names["act"](w).sum(), {"w": w})
    assert len(cuts) == 1
    assert cuts[0].inside is not None
    assert cuts[0].inside.endswith("planted.py:3")
    assert cuts[0].where.rpartition(":")[0].endswith("test_tracing.py")
