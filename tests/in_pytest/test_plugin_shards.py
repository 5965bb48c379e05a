"""A check in shards: as many items, one verdict, one report, whatever the number of workers."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree

import pytest

PLUGIN = '''
import os
import sys
import time

from gradcheck import Finding, Options, Result, Shards, hookimpl


class Split:
    """Each shard takes a share of 100 things. What it does besides is named in the options."""

    name = "split"

    class Options(Options):
        shards: Shards = 1
        faults: list[int] = []
        kill: list[int] = []
        crash: list[int] = []
        bug: list[int] = []
        sleep: list[int] = []
        marker: bool = False
        unmergeable: bool = False

    def applies(self, case):
        return None

    def run(self, subject, options):
        raise AssertionError("it has shards")

    def run_shard(self, subject, options, shard):
        k = shard.number
        print("a word of the model")
        if options.marker:
            with open("ran.txt", "a") as file:
                file.write(f"{shard.name}\\n")
        if k in options.kill:
            os._exit(3)
        if k in options.crash:
            from user_model import broken
            broken()
        if k in options.bug:
            return {"value": object()}
        end = time.monotonic() + (30.0 if k in options.sleep else 0.0)
        while time.monotonic() < end:
            time.sleep(0.01)
        return {"things": len(shard.block(100)), "seed": subject.seed, "fault": k in options.faults}

    def merge(self, parts, options):
        if options.unmergeable:
            raise ValueError("no two of them fit")
        faulty = [i for i, part in enumerate(parts, 1) if part["fault"]]
        findings = ()
        if faulty:
            findings = (
                Finding(
                    code="wrong_gradient",
                    message=f"the gradient of w is wrong in {len(faulty)} parts",
                    parameter="w",
                    relative_error=0.5,
                ),
            )
        return Result(
            findings=findings,
            measurements={"things": sum(p["things"] for p in parts), "worst_relative_error": 1e-9},
            notes=("all of it",),
            figures={"loss_curve": {"steps": [1, 2], "loss": [2.0, 1.0]}},
        )


@hookimpl
def gradcheck_register(register):
    register.check("split", Split())
'''


@pytest.fixture
def shards(project):
    """`project` with the check above, and a module that a user could have written."""
    project.write("plugins/splitting.py", PLUGIN)
    project.write("user_model.py", "def broken():\n    raise RuntimeError('no such weight')\n")
    project.pytester.makeini("[pytest]\npythonpath = .\n")
    return project


def case(**options: object) -> str:
    return f"checks: {{split: {json.dumps({'shards': 4, **options})}}}"


def items(project, *args: str, name: str = "r.json") -> list[dict]:
    """The entries of a run, without their seconds."""
    project.run("--gradcheck", f"--gradcheck-json={project.path / name}", *args)
    found = json.loads((project.path / name).read_text())["items"]
    return [{k: v for k, v in item.items() if k != "seconds"} for item in found]


WORKERS = pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "n2"])


@WORKERS
def test_a_pass_is_one_pass(shards, workers) -> None:
    shards.cases(big=case(marker=True), small="checks: {planned: }")
    result = shards.run("--gradcheck", "-v", *workers)
    result.assert_outcomes(passed=2)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["split    1 passed", "planned  1 passed"])
    assert result.stdout.str().count("PASSED") == 2
    assert sorted((shards.path / "ran.txt").read_text().split()) == [
        f"{k}of4" for k in (1, 2, 3, 4)
    ]


def test_serial_and_two_workers_say_the_same(shards) -> None:
    shards.cases(
        good=case(),
        bad=case(faults=[2, 3]),
        known=case(faults=[1]) + "\nxfail: {check: split, finding: wrong_gradient, reason: later}",
        repaired=case() + "\nxfail: {check: split, finding: wrong_gradient}",
        left=case() + "\nskip: not today",
        crashed=case(crash=[4]),
        everywhere=case(crash=[1, 2, 3, 4]),
        late=case(sleep=[3], faults=[2]) + "\ntimeout: 0.3",
        odd=case(unmergeable=True),
    )
    serial = items(shards)
    assert items(shards, "-n", "2") == serial
    assert {i["case"]: i["outcome"] for i in serial} == {
        "good": "passed",
        "bad": "failed",
        "known": "xfailed",
        "repaired": "failed",
        "left": "skipped",
        "crashed": "failed",
        "everywhere": "failed",
        "late": "failed",
        "odd": "error",
    }
    assert {i["nodeid"] for i in serial} == {f"cases/a.yaml::{i['case']}::split" for i in serial}
    assert serial[0]["measurements"]["things"] == 100
    assert serial[0]["notes"] == ["all of it"]


@WORKERS
def test_a_failure_has_one_text_in_the_usual_form(shards, workers) -> None:
    shards.cases(bad=case(faults=[1, 3]))
    result = shards.run("--gradcheck", *workers)
    result.assert_outcomes(failed=1)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "*bad::split*",
            "cases/a.yaml:3  bad::split  FAILED",
            "  the gradient of w is wrong in 2 parts",
            '  re-run: pytest --gradcheck "cases/a.yaml::bad::split" --gradcheck-seed 0',
            "FAILED cases/a.yaml::bad::split - the gradient of w is wrong in 2 parts",
        ]
    )
    text = result.stdout.str()
    assert text.count("bad::split  FAILED") == 1
    assert text.count("a word of the model") == 1
    assert "Traceback" not in text


@WORKERS
def test_expected_failures_are_judged_over_all_shards(shards, workers) -> None:
    xfail = "\nxfail: {check: split, finding: wrong_gradient, reason: later}"
    shards.cases(known=case(faults=[3]) + xfail, repaired=case() + xfail)
    result = shards.run("--gradcheck", "-rx", *workers)
    result.assert_outcomes(xfailed=1, failed=1)
    result.stdout.fnmatch_lines(["*xfail expects finding 'wrong_gradient', but the check passed*"])
    result.stdout.fnmatch_lines(["XFAIL cases/a.yaml::known::split*later*"])
    shards.run("--gradcheck", "--runxfail", *workers).assert_outcomes(failed=2)


def test_a_killed_worker_loses_only_its_shard(shards) -> None:
    shards.cases(big=case(kill=[2], faults=[4]), next="checks: {planned: }")
    result = shards.run("--gradcheck", "-n", "2")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "*big::split  FAILED",
            "  shard 2 of 4: worker 'gw*' crashed while running *",
            "*the other 3 shards found wrong_gradient (below)",
            "  the gradient of w is wrong in 1 parts",
        ]
    )
    (big,) = [i for i in items(shards, "-n", "2") if i["case"] == "big"]
    assert big["outcome"] == "error"
    assert [f["code"] for f in big["findings"]] == ["worker_lost", "wrong_gradient"]
    assert big["yaml"].startswith("  big:")


def test_every_worker_killed(shards) -> None:
    shards.cases(big=case(shards=2, kill=[1, 2]))
    result = shards.run("--gradcheck", "-n", "2")
    assert result.ret == 1
    result.assert_outcomes(failed=1)
    (big,) = items(shards, "-n", "2")
    assert (big["nodeid"], big["outcome"]) == ("cases/a.yaml::big::split", "error")


def test_a_timeout_names_its_shard(shards) -> None:
    shards.cases(big=case(sleep=[3]) + "\ntimeout: 0.5")
    (big,) = items(shards)
    assert big["outcome"] == "failed"
    assert [f["code"] for f in big["findings"]] == ["timeout"]
    assert big["findings"][0]["message"].startswith("shard 3 of 4: split took longer than")
    assert "the other 3 shards found nothing wrong" in big["text"]


def test_a_crash_of_the_model_names_its_shards(shards) -> None:
    shards.cases(some=case(crash=[2, 4]), all=case(crash=[1, 2, 3, 4]))
    some, everything = items(shards)
    assert some["findings"][0]["message"].startswith(
        "shard 2 and 4 of 4: identity raised RuntimeError: no such weight"
    )
    assert "the other 2 shards found nothing wrong" in some["text"]
    (finding,) = everything["findings"]  # as of a check that is not divided
    assert finding["message"] == "identity raised RuntimeError: no such weight"
    assert "user_model.py:2" in finding["where"]


@WORKERS
def test_a_bug_in_one_shard_is_an_error(shards, workers) -> None:
    shards.cases(big=case(bug=[1, 2]) + "\nxfail: {check: split, finding: error}", ok=case())
    result = shards.run("--gradcheck", *workers)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*shard 1 and 2 of 4: call failed: *object is not a JSON value*"])
    assert result.stdout.str().count("E       TypeError: object is not a JSON value") == 1
    assert {i["case"]: i["outcome"] for i in items(shards, *workers)} == {
        "big": "error",
        "ok": "passed",
    }


def test_a_merge_that_raises_is_an_error(shards) -> None:
    shards.cases(big=case(unmergeable=True))
    (big,) = items(shards)
    assert big["outcome"] == "error"
    assert "no two of them fit" in big["text"]


# --- selecting ------------------------------------------------------------------------------


def test_ids_are_the_same_everywhere(shards) -> None:
    shards.cases(big=case(), small=case(shards=1), none="checks: {split: {}, planned: }")
    ids = [f"cases/a.yaml::big::split::{k}of4" for k in (1, 2, 3, 4)]
    assert shards.ids("--gradcheck")[:4] == ids
    assert shards.ids("cases/a.yaml::big::split") == ids
    assert shards.ids("cases/a.yaml::big::split::2of4") == [ids[1]]
    assert shards.ids("--gradcheck", "-k", "big and 3of4") == [ids[2]]
    assert shards.ids("--gradcheck", "--gradcheck-set", "split.shards=2", "-k", "none") == [
        "cases/a.yaml::none::split::1of2",
        "cases/a.yaml::none::split::2of2",
        "cases/a.yaml::none::planned",
    ]


def test_the_rerun_line_runs_all_shards(shards) -> None:
    shards.cases(big=case(faults=[4]), other=case())
    result = shards.run("cases/a.yaml::big::split")
    result.assert_outcomes(failed=1)
    assert result.ret == 1


@pytest.mark.parametrize(("how", "workers"), [("id", ()), ("k", ()), ("id", ("-n", "1"))])
def test_one_shard_alone_is_no_pass(shards, workers, how) -> None:
    shards.cases(big=case(faults=[4], marker=True))

    def run(shard: str) -> pytest.RunResult:
        chosen = [f"cases/a.yaml::big::split::{shard}"] if how == "id" else ["-k", shard]
        return shards.run("--gradcheck", "-rs", *chosen, *workers)

    right = run("2of4")
    right.assert_outcomes(skipped=1)
    right.stdout.fnmatch_lines(["*1 of 4 shards ran (2 of 4) and found nothing wrong*"])
    assert (shards.path / "ran.txt").read_text().split() == ["2of4"]
    wrong = run("4of4")
    wrong.assert_outcomes(failed=1)
    wrong.stdout.fnmatch_lines(["*note: only 1 of 4 shards ran (4 of 4)"])


@WORKERS
def test_the_last_failed_are_all_its_shards(shards, workers) -> None:
    shards.cases(good=case(), bad=case(faults=[2]))
    shards.run("--gradcheck", *workers).assert_outcomes(passed=1, failed=1)
    again = shards.run("--gradcheck", "--lf", *workers)
    again.assert_outcomes(failed=1)
    shards.cases(good=case(), bad=case())
    shards.run("--gradcheck", "--lf", *workers).assert_outcomes(passed=1)
    shards.run("--gradcheck", "--lf", *workers).assert_outcomes(passed=2)  # none is left


@WORKERS
def test_skipped_once(shards, workers) -> None:
    shards.cases(left=case() + "\nskip: not today", marked=case() + "\nmarks: [slow]", other=case())
    shards.pytester.makeini("[pytest]\nmarkers =\n  slow: of course\n")
    shards.write(
        "conftest.py",
        """
        import pytest

        def pytest_runtest_setup(item):
            if item.get_closest_marker("slow"):
                pytest.skip("too slow")
        """,
    )
    result = shards.run("--gradcheck", "-rs", *workers)
    result.assert_outcomes(skipped=2, passed=1)
    result.stdout.fnmatch_lines(["*not today*", "*too slow*"])


# --- stopping -------------------------------------------------------------------------------


def test_exitfirst_counts_the_check_once(shards) -> None:
    shards.cases(bad=case(faults=[1, 2]), worse=case(faults=[1]), good=case())
    shards.run("--gradcheck", "-x").assert_outcomes(failed=1)
    shards.run("--gradcheck", "--maxfail=2").assert_outcomes(failed=2)
    first = shards.run("--gradcheck", "-x", "-n", "1")
    assert first.ret != 0
    assert first.parseoutcomes()["failed"] >= 1  # a worker is told when it has gone on


def test_a_run_that_is_interrupted_has_no_verdict(shards) -> None:
    shards.cases(big=case(), later=case())
    shards.write(
        "conftest.py",
        """
        import pytest

        def pytest_gradcheck_result(item):
            if item.name == "3of4":
                pytest.exit("enough")
        """,
    )
    result = shards.run("--gradcheck", f"--gradcheck-json={shards.path / 'r.json'}")
    assert result.ret == 2
    result.stdout.fnmatch_lines(["FAILED cases/a.yaml::big::split - 2 of 4 shards ran*"])
    (big,) = json.loads((shards.path / "r.json").read_text())["items"]
    assert big["outcome"] == "error"
    assert big["findings"][0]["message"].startswith("2 of 4 shards ran")
    assert "passed" not in result.parseoutcomes()


def test_an_error_with_exitfirst_leaves_the_others_out(shards) -> None:
    shards.cases(big=case(bug=[1]))
    for workers in ((), ("-n", "1")):
        result = shards.run("--gradcheck", "-x", *workers)
        assert result.ret != 0
        assert "passed" not in result.parseoutcomes()


# --- reports --------------------------------------------------------------------------------


@WORKERS
def test_junit_has_one_test(shards, workers) -> None:
    shards.cases(
        good=case(),
        bad=case(faults=[1, 2]),
        known=case(faults=[1]) + ("\nxfail: {check: split, finding: wrong_gradient}"),
    )
    shards.run("--gradcheck", "--junitxml=junit.xml", *workers)
    (suite,) = ElementTree.parse(shards.path / "junit.xml").getroot()
    assert {k: suite.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "3",
        "failures": "1",
        "errors": "0",
        "skipped": "1",
    }
    tests = {t.get("classname"): t for t in suite.findall("testcase")}
    assert len(suite.findall("testcase")) == 3
    good = tests["cases.a.yaml.good"]
    properties = {p.get("name"): p.get("value") for p in good.iter("property")}
    assert properties["gradcheck_things"] == "100"
    assert properties["gradcheck_outcome"] == "passed"
    assert "2 parts" in tests["cases.a.yaml.bad"].find("failure").get("message")


def test_html_and_baseline(shards) -> None:
    shards.cases(big=case())
    before = shards.path / "before.json"
    shards.run("--gradcheck", f"--gradcheck-json={before}", "--gradcheck-html=r.html")
    assert "cases/a.yaml::big::split" in (shards.path / "r.html").read_text()
    assert "1of4" not in (shards.path / "r.html").read_text()
    # The same check in another number of shards is compared as the same check.
    shards.cases(big=case(shards=3, faults=[1]))
    result = shards.run("--gradcheck", f"--gradcheck-baseline={before}")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*worse than the baseline: cases/a.yaml::big::split was passed*"])


def test_durations_are_kept_by_shard(shards) -> None:
    shards.cases(big=case())
    shards.run("--gradcheck", "-n", "2")
    cached = json.loads((shards.path / ".pytest_cache/v/gradcheck/durations").read_text())
    assert {f"cases/a.yaml::big::split::{k}of4" for k in (1, 2, 3, 4)} <= set(cached)


def test_the_hook_sees_each_shard(shards) -> None:
    shards.cases(big=case(shards=2, faults=[2]))
    shards.write(
        "conftest.py",
        """
        def pytest_gradcheck_result(item, check, result):
            with open("seen.txt", "a") as file:
                file.write(f"{item.name} {check} {result.outcome}\\n")
        """,
    )
    shards.run("--gradcheck")
    assert (shards.path / "seen.txt").read_text().splitlines() == [
        "1of2 split passed",
        "2of2 split failed",
    ]


def test_a_check_of_a_conftest_file(shards) -> None:
    """In the topmost one the controller reads it too; further down it cannot be put together."""
    door = PLUGIN[: PLUGIN.index("@hookimpl")].replace('"split"', '"mine"') + (
        "\ndef pytest_gradcheck_configure(register):\n    register.check('mine', Split())\n"
    )
    body = "checks: {mine: {shards: 2}}"
    (shards.path / "conftest.py").write_text(door)
    shards.cases(big=body)
    shards.run("--gradcheck").assert_outcomes(passed=1)
    shards.run("--gradcheck", "-n", "2").assert_outcomes(passed=1)
    (shards.path / "conftest.py").unlink()
    (shards.path / "cases/below").mkdir()
    (shards.path / "cases/below/conftest.py").write_text(door)
    (shards.path / "cases/a.yaml").rename(shards.path / "cases/below/a.yaml")
    shards.run("--gradcheck").assert_outcomes(passed=1)
    result = shards.run("--gradcheck", "-n", "2")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the shards cannot be put together*"])
