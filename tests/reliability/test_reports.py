"""Reports survive what the file system and the run do, and never claim more than they have."""

from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gradcheck.report import clean, jsonfile
from gradcheck.report.entry import Entry
from gradcheck.result import Finding, Result

MANY = {f"case_{i}": "checks: {planned: }" for i in range(4)}


def report(project, name: str = "r.json") -> dict:
    return json.loads((project.path / name).read_text("utf-8"))


@contextmanager
def file_size(limit: int) -> Iterator[None]:
    """No file may grow beyond `limit` bytes: a write takes what fits, the next one raises."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# --- a disk that is full ------------------------------------------------------------------------


@pytest.mark.parametrize("limit", range(700, 1300, 37))
def test_a_full_disk_leaves_a_whole_document_with_what_fitted(tmp_path: Path, limit: int) -> None:
    path = tmp_path / "r.json"
    written = jsonfile.JsonReport(path)
    entries = [Entry.at(f"a.yaml::case_{i}::x") for i in range(5)]
    with file_size(limit):
        for entry in entries:
            written.add(entry)
        assert written.problem is not None
        kept = [e.nodeid for e in jsonfile.read(path)]
        written.finish(entries, complete=True)
    assert kept == [e.nodeid for e in entries][: len(kept)]
    assert 0 < len(kept) < 5
    assert "could not be finished" in (written.problem or "")
    assert [e.nodeid for e in jsonfile.read(path)] == kept
    assert json.loads(path.read_text())["complete"] is False
    assert list(tmp_path.iterdir()) == [path]


def test_the_summary_is_printed_and_says_it_in_one_sentence(project) -> None:
    project.cases(**MANY)
    with file_size(1500):
        result = project.run("--gradcheck", "--gradcheck-json=r.json", "-p", "no:cacheprovider")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["planned  4 passed", "report: *r.json could not be finished: *"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert report(project)["complete"] is False


def test_a_folder_that_vanished_is_made_again(project) -> None:
    project.cases(one="checks: {planned: }")
    project.write(
        "conftest.py",
        "import shutil\ndef pytest_gradcheck_result():\n    shutil.rmtree('out')\n",
    )
    (project.path / "out").mkdir()
    result = project.run(
        "--gradcheck", "--gradcheck-json=out/r.json", "--gradcheck-html=out/r.html"
    )
    result.assert_outcomes(passed=1)
    assert report(project, "out/r.json")["complete"] is True
    assert (project.path / "out" / "r.html").exists()


# --- files of others ----------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["json", "html"])
def test_a_file_that_is_not_ours_is_never_overwritten(project, option: str) -> None:
    project.cases(one="checks: {planned: }")
    before = (project.path / "cases" / "a.yaml").read_text()
    result = project.run("--gradcheck", f"--gradcheck-{option}=cases/a.yaml")
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"*--gradcheck-{option}: *a.yaml is not a report of gradcheck*"])
    assert (project.path / "cases" / "a.yaml").read_text() == before


@pytest.mark.parametrize("option", ["json", "html"])
@pytest.mark.parametrize("name", ["x" * 300, "pipe", "nul\0"])
def test_names_that_cannot_be_written_are_usage_errors(project, option: str, name: str) -> None:
    project.cases(one="checks: {planned: }")
    os.mkfifo(project.path / "pipe")
    result = project.run("--gradcheck", f"--gradcheck-{option}={name}")
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"*--gradcheck-{option}: *cannot be written: *"])


def test_a_name_as_long_as_the_system_allows(project) -> None:
    project.cases(one="checks: {planned: }")
    name = "x" * 250 + ".json"
    project.run("--gradcheck", f"--gradcheck-json={name}").assert_outcomes(passed=1)
    assert report(project, name)["complete"] is True


# --- complete -----------------------------------------------------------------------------------


def test_an_earlier_report_stays_until_there_is_an_item(project) -> None:
    project.cases(one="checks: {planned: }")
    project.run("--gradcheck", "--gradcheck-json=r.json")
    before = (project.path / "r.json").read_bytes()
    for arguments in (["nowhere"], ["-k", "nothing"], ["--no-such-option"], ["--collect-only"]):
        project.run("--gradcheck", "--gradcheck-json=r.json", *arguments)
        assert (project.path / "r.json").read_bytes() == before


def test_a_run_that_was_cut_short_is_not_complete(project) -> None:
    project.cases(bad="checks: {planned: {find: cut}}", **MANY)
    project.run("--gradcheck", "--gradcheck-json=r.json", "-x")
    assert report(project)["complete"] is False
    project.run("--gradcheck", "--gradcheck-json=r.json")
    assert report(project)["complete"] is True


def test_an_interrupt_is_not_complete(project) -> None:
    project.cases(**MANY)
    hook = "def pytest_gradcheck_result(case):\n    if case.name == 'case_1':\n        "
    for raised in ("raise KeyboardInterrupt", "import pytest; pytest.exit('enough')"):
        project.write("conftest.py", hook + raised + "\n")
        project.pytester.runpytest_subprocess("--gradcheck", "--gradcheck-json=r.json")
        assert report(project)["complete"] is False, raised


@pytest.mark.slow
def test_complete_with_workers(project) -> None:
    pytest.importorskip("xdist")
    project.cases(bad="checks: {planned: {find: cut}}", **MANY)
    arguments = ["--gradcheck", "--gradcheck-json=r.json", "-n", "2"]
    project.run(*arguments)
    assert report(project)["complete"] is True
    project.run(*arguments, "-x")
    found = report(project)
    assert found["complete"] is (len(found["items"]) == 5)


# --- baselines ----------------------------------------------------------------------------------


def changed(project, change) -> str:
    """The message about a baseline after `change` of a good one."""
    project.cases(one="checks: {planned: }")
    project.run("--gradcheck", "--gradcheck-json=r.json")
    loaded = report(project)
    change(loaded)
    (project.path / "b.json").write_text(json.dumps(loaded))
    result = project.run("--gradcheck", "--gradcheck-baseline=b.json")
    assert result.ret == 4
    return result.stderr.str()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(complete=False), "did not end"),
        (lambda d: d.update(schema_version=True), "schema_version True"),
        (lambda d: d["items"][0].update(nodeid=["a"]), "the nodeid of an item"),
        (lambda d: d["items"][0].update(outcome="fine"), "the outcome of an item"),
        (lambda d: d["items"][0].update(seconds="1"), "the seconds of an item"),
        (lambda d: d["items"][0].update(measurements=[]), "the measurements of an item"),
    ],
)
def test_a_baseline_that_says_less_than_it_seems_is_refused(project, change, said: str) -> None:
    message = changed(project, change)
    assert said in message
    assert "Traceback" not in message


def test_a_baseline_that_nests_too_deeply(project) -> None:
    project.cases(one="checks: {planned: }")
    project.write("b.json", "[" * 100_000)
    result = project.run("--gradcheck", "--gradcheck-baseline=b.json")
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["*b.json is not a report of --gradcheck-json: it nests too deeply"]
    )


# --- going on -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "workers", [(), pytest.param(("-n", "2"), marks=pytest.mark.slow)], ids=["serial", "n2"]
)
def test_a_run_goes_on_where_it_was_cut_short(project, workers) -> None:
    marker = project.path / "ran"
    body = f"checks: {{planned: {{marker: {marker}}}}}"
    project.cases(**dict.fromkeys(MANY, body))
    project.run("--gradcheck", "--gradcheck-json=whole.json")
    assert len(marker.read_text().split()) == 4
    cut = report(project, "whole.json")
    cut.update(complete=False, items=cut["items"][:2])
    (project.path / "r.json").write_text(json.dumps(cut))
    result = project.run(
        "--gradcheck", "--gradcheck-resume=r.json", "--gradcheck-json=r.json", *workers
    )
    assert result.ret == 0
    assert len(marker.read_text().split()) == 6
    result.stdout.fnmatch_lines(["resumed: 2 results are taken from *r.json"])
    found = report(project)
    assert found["complete"] is True
    assert [i["case"] for i in found["items"]] == list(MANY)


def test_what_changed_runs_again_and_what_failed_still_fails(project) -> None:
    marker = project.path / "ran"
    project.cases(
        bad="checks: {planned: {find: cut}}",
        same=f"checks: {{planned: {{marker: {marker}}}}}",
        other=f"checks: {{planned: {{marker: {marker}}}}}",
    )
    project.run("--gradcheck", "--gradcheck-json=r.json")
    text = (project.path / "cases" / "a.yaml").read_text()
    place = text.index("other:")
    project.write("cases/a.yaml", text[:place] + text[place:].replace("x: [2]", "x: [3]"))
    result = project.run("--gradcheck", "--gradcheck-resume=r.json")
    assert result.ret == 1
    assert len(marker.read_text().split()) == 3
    assert project.run("--gradcheck", "--gradcheck-resume=r.json", "-k", "bad").ret == 1
    assert project.run("--gradcheck", "--gradcheck-resume=r.json", "-k", "same").ret == 0
    assert project.run("--gradcheck", "--gradcheck-resume=nothing.json").ret == 4


# --- texts --------------------------------------------------------------------------------------


def test_texts_and_numbers_are_cleaned_once() -> None:
    wild = "a\ud800b\x1b[31m\u202ec\n\td"
    result = clean.result(
        Result(
            findings=(Finding(code="x", message=wild, lines=(wild,), data={wild: 10**6000}),),
            measurements={"n": -(10**6000), "small": 7},
            notes=("y" * 50_000_000,),
        )
    )
    tame = "a\\ud800b\\x1b[31m\\u202ec\n\td"
    finding = result.findings[0]
    assert (finding.message, finding.lines) == (tame, (tame,))
    assert finding.data == {tame: "(a number of about 6,001 digits)"}
    assert result.measurements == {"n": "-(a number of about 6,001 digits)", "small": 7}
    assert len(result.notes[0]) < clean.LONGEST + 100
    assert "49,990,000 characters" in result.notes[0]


def test_a_message_with_everything_leaves_a_valid_report(project) -> None:
    project.write(
        "plugins/wild.py",
        """
        from gradcheck import hookimpl
        from tinytorch import op

        @op
        def wild(x):
            raise ValueError("\\ud800 \\x1b[2J \\u202e" + "z" * 50_000_000)

        @hookimpl
        def gradcheck_register(register):
            register.op("wild", wild)
        """,
    )
    project.write("cases/a.yaml", "schema: 1\ncases:\n  w: {op: wild, inputs: {x: [2]}}\n")
    result = project.run("--gradcheck", "--gradcheck-json=r.json", "--junitxml=r.xml")
    result.assert_outcomes(failed=1)
    assert len(result.stdout.str()) < 100_000
    assert "\x1b[2J" not in result.stdout.str()
    (item,) = report(project)["items"]
    assert "\\ud800 \\x1b[2J \\u202e" in item["findings"][0]["message"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
