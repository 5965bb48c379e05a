"""Many workers: the same ids, the same results, one report."""

from __future__ import annotations

import json
import os
import random

import pytest

from gradcheck.in_pytest.scale import cost, deal
from gradcheck.yamlcases.case import Case

pytestmark = pytest.mark.slow

pytest.importorskip("xdist")


def report(project, name: str, *args: str) -> list[dict]:
    result = project.run("--gradcheck", "--gradcheck-json", name, "-p", "no:cacheprovider", *args)
    assert result.ret in (0, 1), result.stdout.str()
    return json.loads((project.path / name).read_text())["items"]


@pytest.fixture
def mixed(project):
    """Real checks of a real op, and planned ones of every outcome."""
    project.write(
        "cases/ops.yaml",
        """
        schema: 1
        cases:
          tanh:
            op: tanh
            inputs: {x: [2, 3]}
            checks: {graph: , gradient: }
            seed: 3
        """,
    )
    project.cases(
        good="checks: {planned: {error: 1.0e-9}, other: }",
        bad="checks: {planned: {find: sign, error: 0.5}}",
        known="checks: {planned: {find: cut}}\nxfail: {check: planned, finding: cut}",
        left="checks: {planned: }\nskip: not today",
        dear="checks: {planned: {sleep: 0.2}}\ncost: 100",
    )
    project.write("cases/wrong.yaml", "schema: 1\ncases: {one: {opp: identity}}\n")
    return project


def without_time(items: list[dict]) -> list[dict]:
    return [{k: v for k, v in item.items() if k != "seconds"} for item in items]


def test_two_workers_equal_a_serial_run_seed_for_seed(mixed) -> None:
    serial = report(mixed, "serial.json")
    parallel = report(mixed, "parallel.json", "-n", "2")
    assert [i["nodeid"] for i in parallel] == [i["nodeid"] for i in serial]
    assert len(serial) == 9
    assert without_time(parallel) == without_time(serial)


def test_the_failure_looks_the_same(mixed) -> None:
    wanted = [
        "cases/a.yaml:7  bad::planned  FAILED",
        "  the gradient of w is wrong (sign)",
        "planned  *",
        "worst relative error: 5.0e-01 in cases/a.yaml::bad::planned (w)",
        "FAILED cases/a.yaml::bad::planned - the gradient of w is wrong (sign)",
    ]
    mixed.run("--gradcheck").stdout.fnmatch_lines(wanted)
    mixed.run("--gradcheck", "-n", "2").stdout.fnmatch_lines(wanted)


def test_a_killed_worker_loses_only_its_running_item(project) -> None:
    project.cases(
        killer="checks: {planned: {kill: true}}",
        **{f"c{i}": "checks: {planned: {sleep: 0.05}}" for i in range(8)},
    )
    items = report(project, "r.json", "-n", "2")
    outcomes = {i["case"]: i["outcome"] for i in items}
    assert outcomes.pop("killer") == "error"
    assert outcomes == {f"c{i}": "passed" for i in range(8)}
    (lost,) = [i for i in items if i["case"] == "killer"]
    assert lost["findings"][0]["code"] == "worker_lost"


def test_plugin_failures_come_back_from_the_workers_once(project) -> None:
    project.cases(one="checks: {planned: }", two="checks: {planned: }")
    project.write("plugins/broken.py", "import no_such_module\n")
    text = project.run("--gradcheck", "-n", "2").stdout.str()
    assert text.count("plugin failure: plugin broken ") == 1


def makespan(costs: list[float], workers: int) -> float:
    """When all is done, as xdist hands it out: two each, then one to whoever finished one."""
    order = deal(list(costs), costs, workers)
    held = [[order.pop(0) for _ in range(min(2, len(order)))] for _ in range(workers)]
    done_at = [0.0] * workers
    while any(held):
        _, i = min((done_at[i] + held[i][0], i) for i in range(workers) if held[i])
        done_at[i] += held[i].pop(0)
        if order:
            held[i].append(order.pop(0))
    return max(done_at)


@pytest.mark.parametrize("workers", [2, 3, 8])
@pytest.mark.parametrize("seed", range(5))
def test_mixed_costs_are_dealt_within_15_percent_of_the_ideal(workers: int, seed: int) -> None:
    rng = random.Random(seed)
    costs = [rng.choice([0.01, 0.02, 0.1, 0.5, 1.0, 2.0, 4.0]) for _ in range(40 * workers)]
    ideal = max(max(costs), sum(costs) / workers)
    assert makespan(costs, workers) <= 1.15 * ideal


def test_two_dear_items_never_wait_for_each_other() -> None:
    assert makespan([10.0, 9.0, 1.0, 1.0], 2) == 11.0
    assert makespan([10.0, 9.0] + [0.1] * 20, 2) <= 10.6


@pytest.mark.parametrize("count", range(8))
def test_dealing_keeps_every_item_once(count: int) -> None:
    items = list(range(count))
    for workers in (1, 2, 3):
        assert sorted(deal(items, [float(i % 3) for i in items], workers)) == items


def test_costs_measured_then_declared_then_guessed() -> None:
    case = Case(name="c", model="mlp", checks={"overfit": {}, "graph": {}}, cost=6.0)
    assert cost(case, "overfit", {"steps": 60}, 0.5) == 0.5
    assert cost(case, "overfit", {"steps": 60}, None) == 3.0
    free = case.model_copy(update={"cost": None})
    assert cost(free, "overfit", {"steps": 600}, None) > cost(free, "overfit", {"steps": 60}, None)
    large = free.model_copy(update={"args": {"sizes": [512, 512]}})
    assert cost(large, "graph", {}, None) > cost(free, "graph", {}, None)
    assert cost(Case(name="o", op="tanh"), "graph", {}, None) < cost(free, "graph", {}, None)


def test_durations_go_to_the_cache_and_to_every_worker(project) -> None:
    project.cases(
        quick="checks: {planned: {marker: ran.txt}}\nseed: 1",
        slow="checks: {planned: {marker: ran.txt, sleep: 0.1}}\nseed: 2",
        last="checks: {planned: {marker: ran.txt}}\nseed: 3",
    )
    project.run("--gradcheck")
    cached = project.path / ".pytest_cache/v/gradcheck/durations"
    found = json.loads(cached.read_text())
    assert found["cases/a.yaml::slow::planned"] >= 0.1
    assert (project.path / "ran.txt").read_text().split() == ["1", "2", "3"]
    (project.path / "ran.txt").unlink()
    project.run("--gradcheck", "-n", "1").assert_outcomes(passed=3)
    assert (project.path / "ran.txt").read_text().split()[0] == "2"  # the dearest came first


def test_threads_are_capped_in_workers_unless_the_user_chose(project, monkeypatch) -> None:
    pytest.importorskip("threadpoolctl")
    project.cases(one="checks: {planned: }", two="checks: {planned: }")
    project.write(
        "conftest.py",
        """
        import threadpoolctl

        from gradcheck.numerics.core.threads import workers

        def pytest_gradcheck_result(case):
            threads = {pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
            with open(f"threads-{case.name}.txt", "w") as file:
                file.write(str(max(threads)))
            with open(f"workers-{case.name}.txt", "w") as file:
                file.write(str(workers()))
        """,
    )
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    cores = os.cpu_count() or 1
    project.run("--gradcheck", "-n", "2").assert_outcomes(passed=2)
    assert {(project.path / f"threads-{n}.txt").read_text() for n in ("one", "two")} == {
        str(max(1, cores // 2))
    }
    assert (project.path / "workers-one.txt").read_text() == str(max(1, cores // 2))
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    project.run("--gradcheck", "-n", "2").assert_outcomes(passed=2)
    assert (project.path / "workers-one.txt").read_text() == str(max(1, cores // 2))
    assert (project.path / "threads-one.txt").read_text() == str(min(2, cores))


def test_a_report_elsewhere_does_not_move_the_rootdir_of_the_workers(
    project, tmp_path_factory
) -> None:
    project.cases(one="checks: {planned: }", two="checks: {planned: {kill: true}}")
    path = tmp_path_factory.mktemp("elsewhere") / "r.json"
    before = os.environ.get("PYTEST_ADDOPTS")
    items = report(project, str(path), "-n", "2")
    assert {i["nodeid"]: i["outcome"] for i in items} == {
        "cases/a.yaml::one::planned": "passed",
        "cases/a.yaml::two::planned": "error",
    }
    assert os.environ.get("PYTEST_ADDOPTS") == before
    # A second time pytest itself takes the path, which exists now, for a test path.
    result = project.run("--gradcheck", "--gradcheck-json", str(path))
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"*write --gradcheck-json={path}, with '=' instead of a blank"])


def test_a_setting_that_there_is_not_is_a_usage_error_here_too(project) -> None:
    project.cases(one="checks: {planned: }", two="checks: {planned: }")
    result = project.run("--gradcheck", "-n", "2", "--gradcheck-set", "planned.fnd=cut")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*planned.fnd: check planned has no such option; did you mean*"])
    project.run("--gradcheck", "-n", "2", "--gradcheck-set", "planned.find=cut").assert_outcomes(
        failed=2
    )
