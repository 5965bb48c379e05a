"""Fresh environments that see what this one has installed, but for the project itself."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Environment:
    """A virtual environment in `folder`. `here` is where its commands run."""

    def __init__(self, folder: Path, here: Path) -> None:
        venv.create(folder, symlinks=True)
        self.python = folder / "bin" / "python"
        self.here = here
        (self.site_packages,) = folder.glob("lib/python*/site-packages")
        # A .pth file puts folders on the path, and does not read the .pth files that lie there:
        # an editable install of the project is not seen, its dependencies are.
        seen = [p for p in sys.path if p.endswith(("site-packages", "dist-packages"))]
        (self.site_packages / "dependencies.pth").write_text("\n".join(seen) + "\n")

    def pip(self, *arguments: str | Path) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "pip", "-q", "--python", self.python, *arguments],
            cwd=self.here,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def install(self, *what: str | Path) -> None:
        """Without dependencies, index or fresh build tools: those at hand are used."""
        self.pip("install", "--no-deps", "--no-index", "--no-build-isolation", *what)

    def uninstall(self, name: str) -> None:
        self.pip("uninstall", "-y", name)

    def run(self, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Python with these arguments; `path` comes first on its import path."""
        kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTEST_ADDOPTS")}
        if path is not None:
            kept["PYTHONPATH"] = str(path)
        return subprocess.run(
            [self.python, *arguments],
            cwd=self.here,
            env=kept,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def place_of(self, module: str, *, path: Path | None = None) -> str:
        """The file that importing `module` runs, or '' where there is none."""
        code = (
            "import importlib.util\n"
            f"spec = importlib.util.find_spec({module!r})\n"
            "print(spec.origin if spec else '')"
        )
        return self.run("-c", code, path=path).stdout.strip()


def copy_of_the_project(folder: Path) -> Path:
    """What a build needs, so that nothing is left behind in the checkout."""
    ignored = shutil.ignore_patterns("__pycache__", ".*", "*.egg-info", "build", "dist", "tests")
    shutil.copytree(ROOT, folder, ignore=ignored)
    return folder


def build(kind: str, project: Path, into: Path) -> Path:
    """The wheel or sdist of a project. -I: the random.py of tinytorch must not hide Python's."""
    code = f"import setuptools.build_meta as b; b.build_{kind}({str(into)!r})"
    into.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=project, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    (built,) = into.iterdir()
    return built
