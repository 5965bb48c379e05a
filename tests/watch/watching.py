"""Watching a script as a user does, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent / "scripts"


@dataclass
class Said:
    """What the command said. rc: its exit status."""

    rc: int
    text: str
    errors: str

    @property
    def places(self) -> list[str]:
        """'file:line  first words' of each finding."""
        return [line for line in self.text.splitlines() if line.strip() and line[0] != " "][:-1]


def watch(script: str, *arguments: str, options: tuple[str, ...] = ()) -> Said:
    """`python -m gradcheck watch OPTIONS SCRIPT ARGUMENTS` in the folder of the scripts. Fails if
    a file there is new or another afterwards."""
    before = files()
    done = subprocess.run(
        [sys.executable, "-m", "gradcheck", "watch", *options, script, *arguments],
        cwd=HERE, capture_output=True, text=True,
    )  # fmt: skip
    assert files() == before, "the script's folder was written to"
    return Said(done.returncode, done.stdout, done.stderr)


def files() -> dict[str, tuple[int, int]]:
    return {
        str(p.relative_to(HERE)): (p.stat().st_mtime_ns, p.stat().st_size)
        for p in HERE.rglob("*")
        if "__pycache__" not in p.parts
    }


def line_of(script: str, text: str) -> int:
    """The number of the line of a script that holds a text."""
    lines = (HERE / script).read_text().splitlines()
    return next(n for n, line in enumerate(lines, 1) if text in line)
