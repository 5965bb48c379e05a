"""The example in each hook's docstring is a whole plugin that works."""

import inspect
import textwrap
import types

import pytest

from gradcheck.names import hookspecs
from gradcheck.names.load import HOOK_OF_KIND
from gradcheck.testing import Kit
from gradcheck.yamlcases.implicit import implicit_cases

HOOKS = [n for n in vars(hookspecs) if n.startswith("gradcheck_")]


def example(hook: str) -> str:
    """What stands indented in the docstring, from the first import on."""
    lines = inspect.getdoc(getattr(hookspecs, hook)).splitlines()
    starts = ("import ", "from ")
    first = next(i for i, line in enumerate(lines) if line.lstrip().startswith(starts))
    return textwrap.dedent("\n".join(lines[first:]))


@pytest.fixture
def kit_with():
    def load(*hooks: str) -> Kit:
        kit = Kit()
        for hook in hooks:
            module = types.ModuleType(f"example_of_{hook}")
            exec(compile(example(hook), f"<{hook}>", "exec"), vars(module))
            kit.register(module)
        assert kit.failures == []
        return kit

    return load


def test_every_kind_has_a_hook():
    assert sorted(HOOK_OF_KIND.values()) == sorted(HOOKS)


@pytest.mark.parametrize("kind", HOOK_OF_KIND)
def test_the_example_registers_something(kit_with, kind):
    hook = HOOK_OF_KIND[kind]
    kit = kit_with(hook)
    assert [e for e in kit.registry.entries(kind) if e.plugin == f"example_of_{hook}"]


def test_the_op_is_right_and_has_a_case_of_its_own(kit_with):
    kit = kit_with("gradcheck_ops")
    assert [c.name for c in implicit_cases(kit.registry) if c.name == "logcosh"]
    result = kit.run_case("op: logcosh\ninputs: {x: [2, 3]}")["gradient"]
    assert (result.outcome, result.findings) == ("passed", ())


def test_the_others_work_together(kit_with):
    kit = kit_with(*(h for h in HOOKS if h not in ("gradcheck_frameworks", "gradcheck_faults")))
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
    kit = kit_with("gradcheck_models")
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
    kit = kit_with("gradcheck_faults")
    (entry,) = [e for e in kit.registry.entries("fault") if e.name == "flipped_tanh"]
    case = "op: tanh\ninputs: {x: [2, 3]}"
    with entry.value():
        result = kit.run_case(case)[entry.extra["check"]]
    assert entry.extra["finding"] in [f.code for f in result.findings]
    assert kit.run_case(case)["gradient"].outcome == "passed"
