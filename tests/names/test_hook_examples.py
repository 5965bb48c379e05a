"""The example in the docstring of each method of `Register` is a whole plugin that works."""

import inspect
import textwrap
import types

import pytest

from gradcheck import Register
from gradcheck.names.registry import KINDS
from gradcheck.testing import Kit
from gradcheck.yamlcases.implicit import implicit_cases

METHODS = [n for n in vars(Register) if not n.startswith("_") and n != "lacks"]


def example(kind: str) -> str:
    """The code in the docstring: from the first import on."""
    lines = inspect.getdoc(getattr(Register, kind)).splitlines()
    starts = ("import ", "from ")
    first = next(i for i, line in enumerate(lines) if line.lstrip().startswith(starts))
    return textwrap.dedent("\n".join(lines[first:]))


@pytest.fixture
def kit_with():
    def load(*kinds: str) -> Kit:
        kit = Kit()
        for kind in kinds:
            module = types.ModuleType(f"example_of_{kind}")
            exec(compile(example(kind), f"<{kind}>", "exec"), vars(module))
            kit.register(module)
        assert kit.failures == []
        return kit

    return load


def test_every_kind_has_a_method():
    assert sorted(KINDS) == sorted(METHODS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_registers_something(kit_with, kind):
    kit = kit_with(kind)
    assert [e for e in kit.registry.entries(kind) if e.plugin == f"example_of_{kind}"]


def test_the_op_is_right_and_has_a_case_of_its_own(kit_with):
    kit = kit_with("op")
    assert [c.name for c in implicit_cases(kit.registry) if c.name == "logcosh"]
    result = kit.run_case("op: logcosh\ninputs: {x: [2, 3]}")["gradient"]
    assert (result.outcome, result.findings) == ("passed", ())


def test_the_others_work_together(kit_with):
    kit = kit_with(*(k for k in KINDS if k not in ("framework", "fault")))
    case = """
        model: mlp
        args: {{sizes: [1, 4, 1], activation: tanh}}
        data: {{name: line, batch: 16}}
        loss: {{name: quartic, weight: 2.0}}
        optimizer: {{name: sign_descent, lr: 0.01}}
        step: with_penalty
        checks:
          graph:
          gradient:
          few_parameters: {{most: {most}}}
    """
    results = kit.run_case(case.format(most=13))
    assert {n: c for n, r in results.items() if (c := [f.code for f in r.findings])} == {}
    results = kit.run_case(case.format(most=12))
    assert [f.message for f in results["few_parameters"].findings] == ["13 parameters are too many"]


def test_the_model_runs(kit_with):
    kit = kit_with("model")
    results = kit.run_case(
        """
        model: bottleneck
        args: {width: 4, narrow: 2}
        data: {name: iris, batch: 8}
        loss: cross_entropy
        checks: [graph, gradient]
        """
    )
    assert [r.outcome for r in results.values()] == ["passed", "passed"]


def test_the_fault_makes_its_check_fail(kit_with):
    kit = kit_with("fault")
    (entry,) = [e for e in kit.registry.entries("fault") if e.name == "flipped_tanh"]
    case = entry.extra["case"]
    with entry.value():
        result = kit.run_case(case)[entry.extra["check"]]
    assert entry.extra["finding"] in [f.code for f in result.findings]
    assert kit.run_case(case)["gradient"].outcome == "passed"
