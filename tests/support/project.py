"""A project for tests of the plugin and its reports; its checks find what their options say."""

from __future__ import annotations

import textwrap

import pytest

PLUGIN = '''
import os
import time

from gradcheck import Finding, Options, Result, hookimpl


class Planned:
    """Reports what the options say."""

    name = "planned"

    class Options(Options):
        find: str | None = None
        error: float = 1e-12
        sleep: float = 0.0
        kill: bool = False
        marker: str | None = None

    def applies(self, case):
        return None

    def run(self, subject, options):
        if options.marker is not None:  # leaves a trace of each run
            with open(options.marker, "a") as file:
                file.write(f"{subject.seed}\\n")
        if options.kill:
            os.kill(os.getpid(), 9)
        end = time.monotonic() + options.sleep
        while time.monotonic() < end:
            time.sleep(0.01)
        findings = ()
        if options.find is not None:
            findings = tuple(
                Finding(
                    code=code,
                    message=f"the gradient of w is wrong ({code})",
                    parameter="w",
                    index=(1, 2),
                    op="matmul",
                    where="model.py:7",
                    analytic=1.0,
                    numeric=2.0,
                    relative_error=options.error,
                    lines=("w[1, 2] analytic 1 numeric 2",),
                    advice="look at matmul",
                )
                for code in options.find.split()
            )
        return Result(
            findings=findings,
            measurements={
                "worst_relative_error": options.error,
                "entries": 1234,
                "tensors": {"w": {"error": options.error, "entries": 6}},
            },
            figures={"loss_curve": {"steps": [1, 2, 3], "loss": [3.0, 2.0, 1.0]}},
        )


class Other(Planned):
    """The same under another name."""

    name = "other"


class Inapplicable(Planned):
    """Never applies."""

    name = "inapplicable"

    def applies(self, case):
        return "it never does"


class Broken(Planned):
    """Has a bug of its own."""

    name = "broken"

    def run(self, subject, options):
        return Result(measurements={"value": object()})


def identity(x):
    return x


@hookimpl
def gradcheck_register(register):
    for check in (Planned(), Other(), Inapplicable(), Broken()):
        register.check(check.name, check)
    register.op("identity", identity)
'''


@pytest.fixture(scope="session")
def everything_imported() -> None:
    """In-process runs forget what they import; numpy cannot be imported a second time."""
    import gradcheck.engine
    import gradcheck.frameworks.tinytorch
    import gradcheck.in_pytest.collect
    import gradcheck.in_pytest.reporter
    import gradcheck.names.load
    import gradcheck.yamlcases.implicit
    import gradcheck.yamlcases.load

    gradcheck.names.load.load()


class Project:
    """A folder outside CI. `cases` writes a file of op cases, `run` runs pytest in this process."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("CI", "GITHUB_ACTIONS"):
            monkeypatch.delenv(name, raising=False)
        self.pytester = pytester
        self.path = pytester.path
        pytester.makeini("[pytest]\n")

    def write(self, path: str, text: str) -> None:
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")

    def cases(self, path: str = "cases/a.yaml", **cases: str) -> None:
        """`one="planned: {find: cut}"`: a case of that name with these checks and other keys."""
        lines = ["schema: 1", "cases:"]
        for name, body in cases.items():
            lines += [f"  {name}:", "    op: identity", "    inputs: {x: [2]}"]
            lines += ["    " + line for line in textwrap.dedent(body).strip().splitlines()]
        self.write(path, "\n".join(lines) + "\n")

    def run(self, *args: str) -> pytest.RunResult:
        # Plugins that are slow to load and of no matter here.
        without = ["-p", "no:hypothesispytest", "-p", "no:anyio"]
        return self.pytester.runpytest_inprocess(*without, *args)

    def ids(self, *args: str) -> list[str]:
        """The node ids that a run would run."""
        lines = self.run("--collect-only", "-q", *args).outlines
        return [line for line in lines if "::" in line]


@pytest.fixture
def project(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, everything_imported: None
) -> Project:
    """A project with the plugin above."""
    project = Project(pytester, monkeypatch)
    project.write("plugins/fake.py", PLUGIN)
    return project
