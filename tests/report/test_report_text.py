"""The failure text, pinned; the terminal section; annotations; curves in a line."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest

from gradcheck.report.annotations import annotation_lines
from gradcheck.report.entry import Entry
from gradcheck.report.live import Live
from gradcheck.report.plots import sparkline
from gradcheck.report.terminal import summary_lines
from gradcheck.report.text import failure_text
from gradcheck.result import Finding, Result

YAML = """\
  shakespeare_gpt:
    model: gpt
    data: {name: shakespeare, batch: 4}
    checks:
      graph:
"""
ENTRY = Entry.at(
    "cases/shakespeare.yaml::shakespeare_gpt::graph",
    case="shakespeare_gpt",
    check="graph",
    line=14,
    seed=0,
    yaml=YAML,
)
CUT = Finding(
    code="cut",
    message="38 of 38 parameters get no gradient from the loss",
    lines=(
        "the graph is cut at train.py:41   logits_2d = Tensor(logits.data.reshape(-1, vocab))",
        "`logits` was made at model.py:88 by linear; upstream: token_embedding.weight, ... (38)",
    ),
    advice="use a Tensor operation instead: logits.reshape(-1, vocab)",
)


def test_the_text_of_a_failure(golden) -> None:
    golden(failure_text(ENTRY.but(findings=(CUT,))))


def test_the_lines_of_the_case_are_its_name_and_its_check() -> None:
    def shown(check: str, yaml: str) -> list[str]:
        lines = failure_text(ENTRY.but(check=check, yaml=yaml)).splitlines()
        return [line.strip() for line in lines if " | " in line]

    assert shown("graph", YAML) == ["14 |   shakespeare_gpt:", "18 |       graph:"]
    assert shown("graph", "a:\n  op: x\n  checks: {graph: }\n") == [
        "14 | a:",
        "16 |   checks: {graph: }",
    ]
    assert shown("graph", "a:\n  op: x\n") == ["14 | a:"]
    assert shown("graph", "") == []
    everything = failure_text(ENTRY, verbose=True)
    assert all(line in everything for line in YAML.splitlines())


def many(count: int, lines: int = 4) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            code="wrong_gradient",
            message=f"finding {i}",
            lines=tuple(f"line {k}" for k in range(lines)),
            advice=f"advice {i}",
        )
        for i in range(count)
    )


LONG = ENTRY.but(line=3, yaml="\n".join(f"    k{i}: 1" for i in range(30)) + "\n    graph: {}")


@pytest.mark.parametrize("findings", [many(1, 60), many(2, 8), many(40), many(40, 0), many(3)])
@pytest.mark.parametrize("entry", [LONG, ENTRY])
@pytest.mark.parametrize("figures", [{}, {"loss_curve": {"steps": [1, 2], "loss": [2.0, 1.0]}}])
def test_never_more_than_twenty_lines_first_and_last_as_always(findings, entry, figures) -> None:
    result = Result(findings=findings, figures=figures, notes=("a", "b", "c", "d"))
    failed = entry.with_result(result)
    lines = failure_text(failed).splitlines()
    assert len(lines) <= 20
    assert lines[0] == f"{entry.file}:{entry.line}  shakespeare_gpt::graph  FAILED"
    assert lines[1] == "  finding 0"
    assert "  advice 0" in lines
    assert any(line.strip().endswith(("graph:", "graph: {}")) for line in lines)
    assert lines[-1].startswith("  re-run: pytest --gradcheck ")
    said = "\n".join(lines)
    if len(findings) > 3:
        assert "more findings; -vv shows all" in said
    everything = failure_text(failed, verbose=True)
    for finding in findings:
        assert f"  {finding.message}\n" in everything


def test_what_is_left_out_is_counted() -> None:
    lines = failure_text(ENTRY.but(findings=many(40, 0))).splitlines()
    shown = sum(line.startswith("  finding") for line in lines)
    (rest,) = [line for line in lines if "more finding" in line]
    assert rest == f"  and {40 - shown} more findings; -vv shows all"


def test_a_name_that_a_shell_would_change_is_quoted_otherwise() -> None:
    entry = ENTRY.but(nodeid="my $cases/a b.yaml::shakespeare_gpt::graph", findings=(CUT,))
    last = failure_text(entry).splitlines()[-1]
    assert "--gradcheck 'my $cases/a b.yaml::shakespeare_gpt::graph' --gradcheck-seed" in last


def test_a_curve_in_a_line() -> None:
    assert sparkline([0.0, 1.0, 2.0]) == "▁▅█"
    assert sparkline([2.31, 2.30, 2.29]) == "███"  # hardly changes: flat
    assert sparkline([-1.0, 0.0]) == "▁█"
    assert sparkline([0.0, 0.0]) == "▁▁"
    assert sparkline([0.1, float("nan"), float("inf"), 2.0]) == "▁!!█"
    assert sparkline([None, float("nan")]) == "!!"
    assert sparkline([]) == ""
    long = sparkline([float(i) for i in range(1000)], width=16)
    assert len(long) == 16
    assert (long[0], long[-1]) == ("▁", "█")


def entries() -> list[Entry]:
    return [
        Entry.at(
            "a.yaml::x::gradient",
            check="gradient",
            case="x",
            line=4,
            seconds=0.5,
            measurements={
                "worst_relative_error": 3e-11,
                "worst_at": "w",
                "entries": 1234,
                "tensors": {"w": {"error": 3e-11, "entries": 6}, "bias": {"error": 0.0}},
                "states": [{"parameter": "v", "shape": [2, 3], "status": "ok"}],
            },
        ),
        Entry.at(
            "a.yaml::y::gradient",
            check="gradient",
            case="y",
            outcome="failed",
            seconds=2.0,
            findings=(
                Finding(
                    code="sign",
                    message="50% wrong: w, b",
                    relative_error=0.25,
                    parameter="layers.0.weight",
                ),
            ),
            line=9,
        ),
        Entry.at("a.yaml::z::graph", check="graph", outcome="xfailed", seconds=0.001),
    ]


def test_summary_counts_worst_and_slowest(golden) -> None:
    golden("\n".join(summary_lines(entries(), [], 0)))


def test_summary_is_silent_without_cases() -> None:
    assert summary_lines([], [], 2) == []
    assert summary_lines([], ["plugin x is broken"], 0) == ["plugin failure: plugin x is broken"]


@pytest.mark.parametrize("verbosity", [1, 2], ids=["v", "vv"])
def test_v_shows_measurements_and_vv_the_tensors(verbosity: int, golden) -> None:
    golden("\n".join(summary_lines(entries(), [], verbosity)))


def test_vv_lists_the_parameters_of_a_right_model_too(project) -> None:
    project.write(
        "cases/mlp.yaml",
        """
        schema: 1
        cases:
          digits:
            model: mlp
            args: {sizes: [64, 8, 10]}
            data: {name: digits, batch: 8}
            loss: cross_entropy
            optimizer: {name: sgd, lr: 0.1}
            checks: {graph: , updates: }
        """,
    )
    project.run("--gradcheck", "-vv").stdout.fnmatch_lines(
        [
            "*= gradcheck =*",
            "  states           shape  status  analytic  numeric",
            "  layers.0.weight  8x64   ok      *",
            "                   relative_change",
            "  layers.0.weight  *",
        ]
    )


def test_nothing_of_gradcheck_in_the_output_of_a_run_without_cases(project) -> None:
    project.write("test_unit.py", "def test_unit(): pass\n")
    for flags in ([], ["--gradcheck", "."], ["-v"]):
        lines = project.run(*flags).outlines
        assert not [line for line in lines if "= gradcheck =" in line]


def test_annotations_are_escaped_commands_at_the_line_of_the_case() -> None:
    assert annotation_lines(entries(), Path()) == [
        "::error file=a.yaml,line=9,title=y%3A%3Agradient::50%25 wrong: w, b"
    ]


def test_an_annotation_stands_at_the_line_of_the_bug(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    (tmp_path / "train.py").write_text("x = 1\n")
    (line,) = annotation_lines([ENTRY.but(outcome="failed", findings=(CUT,))], tmp_path)
    assert line.startswith("::error file=train.py,line=41,title=")
    assert line.endswith("%0Ause a Tensor operation instead: logits.reshape(-1, vocab)")
    other = Finding(code="x", message="m", where="elsewhere.py:3")
    (line,) = annotation_lines([ENTRY.but(outcome="failed", findings=(other,))], tmp_path)
    assert line.startswith("::error file=cases/shakespeare.yaml,line=14,")


def test_the_summary_of_a_job_has_counts_and_failures(project, monkeypatch) -> None:
    project.cases(one="checks: {planned: {find: cut}}", two="checks: {planned: }")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / "summary.md"))
    project.run("--gradcheck")
    text = (project.path / "summary.md").read_text()
    assert "planned  1 passed, 1 failed" in text
    assert "<code>cases/a.yaml::one::planned</code>" in text
    assert "look at matmul" in text


@pytest.mark.parametrize("style", ["auto", "short", "line", "no"])
def test_the_style_of_tracebacks_is_honoured(project, style) -> None:
    project.cases(one="checks: {planned: {find: cut}}")
    said = project.run("--gradcheck", f"--tb={style}", "-rN", "-q").outlines
    text = str(said)
    assert ("the gradient of w is wrong (cut)" in text) is (style != "no")
    assert ("look at matmul" in text) is (style in ("auto", "short"))
    assert ("w[1, 2] analytic 1 numeric 2" in text) is (style == "auto")
    assert "namespace(" not in text


def test_colours_mark_the_verdict_and_the_advice(project) -> None:
    project.cases(one="checks: {planned: {find: cut}}")
    text = str(project.run("--gradcheck", "--color=yes").stdout)
    assert "\x1b[1m  the gradient of w is wrong (cut)\x1b[0m" in text
    assert "\x1b[32m\x1b[1m  look at matmul\x1b[0m" in text


def test_annotations_only_in_actions(project, monkeypatch) -> None:
    project.cases(one="checks: {planned: {find: cut}}")
    assert "::error" not in project.run("--gradcheck").stdout.str()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    assert "::error file=cases/a.yaml,line=3," in project.run("--gradcheck").stdout.str()
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project.path.parent))
    below = f"::error file={project.path.name}/cases/a.yaml,line=3,"
    assert below in project.run("--gradcheck").stdout.str()


def test_a_sign_of_life_comes_late_and_goes(monkeypatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("gradcheck.report.live.AFTER", 0.0)
    monkeypatch.setattr("gradcheck.report.live.EVERY", 0.001)
    live = Live(stream)
    with live.running("a.yaml::x::gradient"):
        while stream.getvalue().count("...") < 2:
            time.sleep(0.001)
    assert "... a.yaml::x::gradient 0 s" in stream.getvalue()
    assert stream.getvalue().endswith("\033[K")
    monkeypatch.setattr("gradcheck.report.live.AFTER", 60.0)
    quiet = io.StringIO()
    with Live(quiet).running("quick"):
        pass
    assert quiet.getvalue() == ""
