"""A gradient check in shards: each part of the work once, and the verdict of the whole."""

from __future__ import annotations

import copy
import functools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck.checks.gradient.variants import counted_variants
from gradcheck.frameworks.tinytorch import TinyTorch
from gradcheck.numerics.core.verdict import RIGHT
from gradcheck.numerics.end_to_end import complexstep
from gradcheck.numerics.end_to_end.directions import NOISE_POINTS
from gradcheck.numerics.examine import Look, Settings
from gradcheck.numerics.telling.merge import merged
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding, Result
from gradcheck.shards import Dealer, Shard
from gradcheck.together import Outcome, named, put_together
from gradcheck.yamlcases.case import Case
from tests.numerics.test_end_to_end import Broken, Detached, Residual, TiedOnce, WithoutTape, step
from tests.support.numerics import check_model, check_op, registry
from tinytorch import Op, Tensor

COUNTS = (2, 3, 8)

# --- dividing -------------------------------------------------------------------------------


@given(st.integers(1, 12), st.integers(0, 200), st.integers(0, 30))
def test_every_entry_is_in_one_block(of: int, size: int, turn: int) -> None:
    blocks = [list(shard.block(size, turn)) for shard in Shard.all(of)]
    assert sorted(i for block in blocks for i in block) == list(range(size))
    assert max(map(len, blocks)) - min(map(len, blocks)) <= 1


@given(st.integers(1, 8), st.lists(st.floats(0.0, 1e9), max_size=60))
def test_every_thing_is_dealt_once_and_evenly(of: int, costs: list[float]) -> None:
    dealers = [Dealer(shard) for shard in Shard.all(of)]
    taken = [[dealer.mine(cost) for dealer in dealers] for cost in costs]
    assert all(sum(row) == 1 for row in taken)
    loads = [sum(c for c, row in zip(costs, taken) if row[k]) for k in range(of)]
    assert max(loads) - min(loads) <= max(costs, default=0.0) * (1 + 1e-9)


@given(st.integers(1, 999))
def test_names_of_shards(of: int) -> None:
    for shard in (Shard(1, of), Shard(of, of)):
        assert Shard.named(shard.name) == shard
    assert Shard.named(f"{of + 1}of{of}") is None
    assert Shard.named(f"0of{of}") is None
    assert Shard.named("gradient") is None
    with pytest.raises(ValueError, match="there is no shard"):
        Shard(of + 1, of)


@functools.cache
def looks(of: int, framework: type = TinyTorch) -> list[tuple[dict, dict[str, list[int]]]]:
    """What each shard saw of a model, and the entries that it took."""
    case = Case(name="model", model="model", step="step")
    names = registry(framework, model=("model", Residual), step=("step", step))
    found = []
    for shard in Shard.all(of):
        look = Look(Subject(case, names, dtype="float64"), 0, Settings(exhaustive=True), shard)
        part = look.part()
        assert look.point is not None
        found.append((part, {n: list(b) for n, b in look.blocks(look.point).items()}))
    return found


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 40))
def test_every_call_leaf_and_entry_is_looked_at_once(of: int) -> None:
    whole, parts = looks(1)[0][0], [part for part, _ in looks(of)]
    for count in ("entries", "calls", "inputs_by_direction", "evaluations"):
        told = [part["local"]["certificate"][count] for part in parts]
        assert sum(told) == whole["local"]["certificate"][count]
    ops = sum((Counter(part["local"]["certificate"]["ops"]) for part in parts), Counter())
    assert ops == whole["local"]["certificate"]["ops"]
    leaves = [leaf for part in parts for leaf in part["ends"]["leaves"]]
    assert sorted(leaves) == sorted(whole["ends"]["leaves"])
    for leaf, entries in looks(1)[0][1].items():
        assert sorted(i for _, blocks in looks(of) for i in blocks[leaf]) == entries


@pytest.mark.parametrize("of", [2, 3, 5, 60])
def test_no_shard_evaluates_what_is_not_its_own(of: int) -> None:
    """Beyond the rounding noise, which each measures for its directions and for each leaf that it
    has part in."""
    whole = looks(1)[0][0]["evaluations"]
    measured = sum(
        bool(part["ends"]["leaves"]) + sum(bool(b) for b in blocks.values())
        for part, blocks in looks(of)
    )
    spent = sum(part["evaluations"] for part, _ in looks(of))
    assert spent == whole + NOISE_POINTS * (measured - 5)


def test_complex_steps_are_not_taken_twice(monkeypatch) -> None:
    taken: Counter[str] = Counter()
    along = complexstep.along

    def counted(replay, weights, name, x, directions):
        taken[name] += len(directions)
        return along(replay, weights, name, x, directions)

    monkeypatch.setattr(complexstep, "along", counted)
    options = {"method": "complex", "exhaustive": True}
    check_model(Residual, step, **options)
    once = Counter(taken)
    taken.clear()
    check_model(Residual, step, **options, shards=3)
    assert taken == {name: n + 2 for name, n in once.items()}  # a direction for each shard


# --- the same verdict -----------------------------------------------------------------------


def told(result: Result) -> dict:
    """All that a result says, but how often something was evaluated: each shard prepares."""
    said = result.to_json()
    said["measurements"].pop("evaluations", None)
    return said


def same(check, *args, **options) -> Result:
    """The result of the check, which must not depend on the number of shards."""
    whole = check(*args, **options)
    for count in COUNTS:
        assert told(check(*args, **options, shards=count)) == told(whole)
    return whole


def off_by_a_bit(x):
    return np.tanh(x), lambda g: g * (1 - np.tanh(x) ** 2) * 1.001


def drops_the_last_row(x):
    def pullback(g):
        g = g * 2.0
        g[-1] = 0.0
        return g

    return x * 2.0, pullback


class TwoWrongOps(Residual):
    def forward(self, x):
        off, drop = Op(off_by_a_bit, "off_by_a_bit"), Op(drops_the_last_row, "drops_the_last_row")
        return drop(off(self.outer(off(off(x + off(off(self.inner(x))))))))


@pytest.mark.parametrize("framework", [TinyTorch, WithoutTape, Broken, TiedOnce])
@pytest.mark.parametrize("options", [{}, {"exhaustive": True}, {"directions": 3}], ids=str)
def test_a_model(framework, options):
    result = same(check_model, Residual, step, framework=framework, **options)
    assert result.outcome == ("failed" if issubclass(framework, Broken) else "passed")


def test_a_detached_branch():
    assert same(check_model, Detached, step).outcome == "failed"


@pytest.mark.parametrize("options", [{}, {"exhaustive": True}], ids=str)
def test_wrong_ops_in_several_shards_silence_the_leaves(options):
    result = same(check_model, TwoWrongOps, step, **options)
    assert [f.op for f in result.findings] == ["drops_the_last_row", "off_by_a_bit"]
    assert "the same in 4 other calls of off_by_a_bit" in result.findings[1].lines
    assert any("end to end it spoils" in line for line in result.findings[0].lines)
    assert "error_vs_step" in result.figures


class OneEntry(WithoutTape):
    """One entry of each large gradient is wrong by little."""

    def grad(self, leaf):
        g = super().grad(leaf)
        if g is not None and g.shape == (4, 4):
            g[2, 3] *= 1 + 1e-5
        return g


def test_the_entry_that_only_one_shard_looks_at(monkeypatch):
    along = Look.along

    def blind(*args, **kwargs):
        found = along(*args, **kwargs)
        found.faults.clear()
        found.wrong.clear()
        found.outcome.state[:] = RIGHT
        return found

    monkeypatch.setattr(Look, "along", blind)
    assert check_model(Residual, step, framework=OneEntry).outcome == "passed"
    result = same(check_model, Residual, step, framework=OneEntry, exhaustive=True)
    assert result.outcome == "failed"
    assert {(f.parameter, f.index) for f in result.findings} == {
        ("inner.weight", (2, 3)),
        ("outer.weight", (2, 3)),
    }
    assert set(result.figures["heatmap"]) == {
        "inner.weight", "inner.bias", "outer.weight", "outer.bias"
    }  # fmt: skip


@pytest.mark.parametrize("exhaustive", [True, False])
@pytest.mark.parametrize("framework", [TinyTorch, Broken])
def test_complex_steps(framework, exhaustive):
    result = same(
        check_model, Residual, step, framework=framework, method="complex", exhaustive=exhaustive
    )
    assert "complex_step_error" in result.measurements


class NotAnalytic(Residual):
    def forward(self, x):
        return self.outer(self.inner(x).abs())


def test_complex_steps_that_do_not_go():
    result = same(check_model, NotAnalytic, step, method="complex", exhaustive=True)
    assert any("no complex steps" in note for note in result.notes)
    assert not result.measurements["exhaustive"]


def test_a_kink_that_another_shard_saw():
    """Leaves that fail are excused beside the kinks, whoever saw the kinks."""
    parts = copy.deepcopy([part for part, _ in looks(3, Broken)])
    assert merged(parts).findings
    faulty = next(part for part in parts if part["ends"]["faults"])
    faulty["beside"] = looks(1)[0][0]["ends"]
    assert merged(parts).findings  # no kinks: no excuse
    for part in parts:
        part["exhaustive"]["faults"] = []
        part["local"]["certificate"]["kinks"] = part is not faulty
    done = merged(parts)
    assert not done.findings
    assert "at a kink" in done.notes[0]
    assert done.certificate.leaves == 4
    faulty["beside"] = None
    assert merged(parts).findings


def test_second_derivatives():
    result = same(check_model, Residual, step, order=2)
    assert any("first derivatives" in note for note in result.notes)


class Single(TinyTorch):
    """Computes in float32."""

    from gradcheck.frameworks.protocol import Precision

    precision = Precision("float32", "float32")


def test_float32():
    result = same(check_model, Residual, step, framework=Single)
    assert any("float32" in note for note in result.notes)


def test_what_stops_before_anything_is_compared():
    def vector(model, batch, loss):
        return model(Tensor(np.ones((2, 4))))

    (finding,) = same(check_model, Residual, vector).findings
    assert finding.code == "not_scalar"


def test_an_op_and_its_variants():
    result = same(check_op, "layer_norm", {"x": (2, 5), "weight": (5,), "bias": (5,)})
    assert result.measurements["variants"] > 5


def wrong_for_one_row(x):
    return x * 3.0, lambda g: g * (2.0 if x.shape[:1] == (1,) else 3.0)


def wrong_elsewhere(x):
    return x * 3.0, lambda g: g * (3.0 if x.shape == (2, 3) else x.size)


def wrong_for_large(x):
    return x * 3.0, lambda g: g * (2.0 if np.abs(x).max(initial=0) > 10 else 3.0)


@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (wrong_for_one_row, {"x": (2, 3)}),
        (wrong_for_large, {"x": (2, 3)}),
        (wrong_elsewhere, {"x": (2, 3)}),
    ],
)
def test_an_op_that_is_wrong_at_derived_inputs_only(function, inputs):
    result = same(check_op, function, inputs)
    assert result.outcome == "failed"
    assert "variant" in result.findings[0].message


def test_derived_inputs_count_up_to_the_third_finding():
    """As they would have been tried in one go, whoever tried them."""
    tried = [
        {"order": n, "kind": None if n == 2 else f"kind{n}", "dropped": n in (2, 6), "findings": []}
        for n in range(1, 7)
    ]
    for n in (1, 3, 4, 5):
        tried[n - 1]["findings"] = [Finding(code=f"c{n}", message="m").to_json()]
    findings, measured = counted_variants([*tried[3:], *tried[:3]])
    assert [f.code for f in findings] == ["c1", "c3", "c4"]
    assert measured["variant_kinds"] == {"kind1": 1, "kind3": 1, "kind4": 1}
    assert measured["variants_dropped"] == 1


def test_an_op_that_is_wrong_as_declared():
    result = same(check_op, off_by_a_bit, {"x": (3, 4)})
    assert "variants" not in result.measurements
    assert result.findings[0].where is not None


# --- shards that did not come to an end -----------------------------------------------------


def merge(parts: list[int]) -> Result:
    findings = (Finding(code="odd", message="one is odd"),) if any(p % 2 for p in parts) else ()
    return Result(findings=findings, measurements={"sum": sum(parts)})


LOST = Finding(code="timeout", message="it took too long", lines=("it was at model.py:3",))


def test_what_the_others_found_is_kept():
    outcomes = [
        Outcome(Shard(3, 3), 5),
        Outcome(Shard(1, 3), finding=LOST),
        Outcome(Shard(2, 3), 2),
    ]
    result = put_together(outcomes, merge)
    assert [f.code for f in result.findings] == ["timeout", "odd"]
    assert result.findings[0].message == "shard 1 of 3: it took too long"
    assert result.findings[0].lines[-1] == "the other 2 shards found odd (below)"
    assert result.measurements == {"sum": 7}


def test_all_lost_alike_is_the_finding_itself():
    lost = [Outcome(shard, finding=LOST) for shard in Shard.all(3)]
    assert put_together(lost, merge).findings == (LOST,)
    (finding,) = put_together(lost[:2], merge).findings
    assert finding.message == "shard 1 and 2 of 3: it took too long"


def test_names_of_several():
    assert named([Shard(2, 4)]) == "2 of 4"
    assert named([Shard(1, 4), Shard(2, 4), Shard(4, 4)]) == "1, 2 and 4 of 4"
