"""The case of every op turns red, and names the op, when its pullback is wrong by one thousandth.

`test_catalogue.py` has the many kinds of faults; here are all ops. That the same cases pass without
a fault is what `pytest --gradcheck` itself shows.
"""

from pathlib import Path

import pytest
from gradcheck.plugins._faults.planting import spoilt

from gradcheck.engine import entry_of, run_check
from gradcheck.names import load as plugins
from gradcheck.report.text import failure_text
from gradcheck.yamlcases.load import load_cases
from tinytorch import OPS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
OURS = sorted(n for n, op in OPS.items() if op.__module__.partition(".")[0] == "tinytorch")


@pytest.fixture(scope="module")
def registry():
    return plugins.load([ROOT / "plugins"])


@pytest.fixture(scope="module")
def cases(registry):
    files = [load_cases(path, registry, ROOT) for path in sorted((ROOT / "cases").rglob("*.yaml"))]
    return [case for file in files for case in file.cases if not case.xfail]


@pytest.mark.parametrize("name", OURS)
def test_a_pullback_scaled_by_one_thousandth_is_named(registry, cases, name):
    mine = [c for c in cases if name in (c.op, c.name) and "gradient" in c.checks]
    with spoilt(name, lambda part, g, y: part * 1.001)():
        results = ((case, run_check(case, "gradient", registry)) for case in mine)
        case, result = next((c, r) for c, r in results if r.outcome == "failed")
    text = failure_text(entry_of(case, "gradient", seed=0).with_result(result))
    assert f"op {name}" in text or f"{name} is called at" in text
