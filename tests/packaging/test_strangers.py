"""Somebody else's `tinytorch` is installed: theirs is what runs, is judged and stays."""

import os
from pathlib import Path

import pytest

from tests.packaging import stranger
from tests.packaging.environment import Environment, build, copy_of_the_project

pytestmark = pytest.mark.skipif(
    "GRADCHECK_PACKAGING" not in os.environ,
    reason="builds wheels and environments; GRADCHECK_PACKAGING=1 runs it, as .ci/run does",
)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory) -> Path:
    return copy_of_the_project(tmp_path_factory.mktemp("project") / "copy")


@pytest.fixture(scope="session")
def harness(checkout, tmp_path_factory) -> Path:
    return build("wheel", checkout, tmp_path_factory.mktemp("harness"))


@pytest.fixture(scope="session")
def framework(checkout, tmp_path_factory) -> Path:
    return build("wheel", checkout / "tinytorch", tmp_path_factory.mktemp("framework"))


@pytest.fixture
def theirs(tmp_path) -> Path:
    stranger.write_package(tmp_path / "theirs")
    return tmp_path / "theirs"


@pytest.fixture
def environment(tmp_path) -> Environment:
    (tmp_path / "here").mkdir()
    return Environment(tmp_path / "environment", tmp_path / "here")


def installed_before(environment, harness, framework, theirs):
    environment.install(theirs)
    environment.install(harness)


def installed_after(environment, harness, framework, theirs):
    environment.install(harness)
    environment.install(theirs)


def editable(environment, harness, framework, theirs):
    environment.install("-e", theirs)
    environment.install(harness)


def on_the_path(environment, harness, framework, theirs):
    environment.install(harness)
    return theirs


def on_the_path_before_ours(environment, harness, framework, theirs):
    environment.install(harness, framework)
    return theirs


WAYS = (installed_before, installed_after, editable, on_the_path, on_the_path_before_ours)


@pytest.mark.parametrize("way", WAYS, ids=lambda f: f.__name__)
def test_their_code_runs_is_judged_and_stays(environment, harness, framework, theirs, way):
    path = way(environment, harness, framework, theirs)
    stranger.write_cases(environment.here / "project")
    environment.here = environment.here / "project"
    place = Path(environment.place_of("tinytorch", path=path))
    text = (theirs / "tinytorch" / "__init__.py").read_bytes()
    assert place.read_bytes() == text

    done = environment.run(
        *("-m", "pytest", "--gradcheck", "--gradcheck-strict-plugins", "-p", "no:cacheprovider"),
        "-q",
        "cases.yaml",
        path=path,
    )
    assert "1 failed, 2 passed" in done.stdout, done.stdout + done.stderr
    assert "cases.yaml::wrong::gradient" in done.stdout
    assert "plugin failure" not in done.stdout

    listing = environment.run("-m", "gradcheck", "plugins", path=path)
    assert listing.returncode == 0, listing.stdout
    (line,) = [line for line in listing.stdout.splitlines() if line.startswith("tinytorch")]
    assert "`import tinytorch` gives another package" in line

    environment.uninstall("pytest-gradcheck")
    assert place.read_bytes() == text
    assert (place.parent / "extra.py").exists()


def test_the_harness_alone_installs_nothing_called_tinytorch(environment, harness):
    environment.install(harness)
    assert environment.place_of("tinytorch") == ""
    assert not [p for p in environment.site_packages.iterdir() if "tinytorch" in p.name]
    listing = environment.run("-m", "gradcheck", "plugins")
    assert listing.returncode == 0, listing.stdout
    assert "tinytorch: the bundled framework is not installed" in listing.stdout
    assert " digits" in listing.stdout  # data sets serve every framework


OURS = """
schema: 1
cases:
  gelu: {op: gelu, inputs: {x: [3, 4]}, checks: [gradient]}
  logistic:
    model: logistic
    args: {features: 4, classes: 3}
    data: {name: iris, batch: 8}
    loss: cross_entropy
    optimizer: {name: sgd, lr: 0.1}
    checks: [gradient]
"""


@pytest.mark.parametrize("kind", ["wheel", "sdist", "editable"])
def test_both_distributions_work(environment, checkout, harness, framework, kind, tmp_path):
    if kind == "wheel":
        environment.install(harness, framework)
    elif kind == "sdist":
        environment.install(build("sdist", checkout, tmp_path / "harness"))
        environment.install(build("sdist", checkout / "tinytorch", tmp_path / "framework"))
    else:
        environment.install("-e", checkout / "tinytorch", "-e", checkout)
    (environment.here / "cases.yaml").write_text(OURS)
    done = environment.run(
        *("-m", "pytest", "--gradcheck", "--gradcheck-strict-plugins", "-p", "no:cacheprovider"),
        "-q",
        "cases.yaml",
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    place = environment.place_of("tinytorch")
    assert place.startswith(str(checkout if kind == "editable" else environment.site_packages))
