"""Runs a document: its files are written, its Python and its commands are run, in a fresh folder.

A fenced block says what it is in its first line:

- ```yaml file=cases/swish.yaml``` and ```python file=plugins/swish.py``` write a file
  of the project;
- ```python``` runs, all such blocks of a document in one namespace;
- ```yaml``` without a file is written to a case file of its own and checked like the others;
- ```console``` holds commands after `$ ` and, below each, lines that its output must hold, in this
  order; a line `...` stands for any lines.

`fails` in the first line says that the cases of the block, or the command, must fail, and
`needs=torch` that a block is for those who have that package: without it, it is not run.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    language: str
    options: tuple[str, ...]
    text: str
    line: int

    @property
    def file(self) -> str | None:
        return next((o.removeprefix("file=") for o in self.options if o.startswith("file=")), None)

    @property
    def runs(self) -> bool:
        needed = [o.removeprefix("needs=") for o in self.options if o.startswith("needs=")]
        return all(importlib.util.find_spec(name) for name in needed)

    @property
    def fails(self) -> bool:
        return "fails" in self.options


def blocks_of(document: str) -> list[Block]:
    return [
        Block(m[1], tuple(m[2].split()), m[3], document.count("\n", 0, m.start()) + 1)
        for m in FENCE.finditer(document)
    ]


def run_document(document: str, folder: Path) -> list[str]:
    """What went wrong, one sentence each; empty when every block did what it says."""
    problems: list[str] = []
    python: list[str] = []
    for block in blocks_of(document):
        if block.file is not None:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif not block.runs:
            continue
        elif block.language == "python":
            python.append(block.text)
            problems += _run_python("\n".join(python), folder, block)
        elif block.language == "yaml" and "cases:" in block.text:
            path = folder / "cases" / f"line_{block.line}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
            problems += _run_cases(path, folder, block)
        elif block.language == "console":
            problems += _run_console(block, folder)
    return problems


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )


def _run_python(source: str, folder: Path, block: Block) -> list[str]:
    done = run([sys.executable, "-c", source], folder)
    if (done.returncode != 0) != block.fails:
        return [f"line {block.line}: python ended with {done.returncode}\n{done.stderr[-2000:]}"]
    return []


def _run_cases(path: Path, folder: Path, block: Block) -> list[str]:
    done = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(path)], folder)
    if done.returncode != (1 if block.fails else 0):
        return [f"line {block.line}: its cases ended with {done.returncode}\n{done.stdout[-3000:]}"]
    return []


def _run_console(block: Block, folder: Path) -> list[str]:
    problems = []
    for chunk in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, expected = chunk.partition("\n")
        words = shlex.split(command)
        if words[0] == "pytest":
            words[:1] = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
        elif words[0] == "python":
            words[0] = sys.executable
        done = run(words, folder)
        if (done.returncode != 0) != block.fails:
            problems.append(
                f"line {block.line}: `{command}` ended with {done.returncode}\n"
                f"{done.stdout[-3000:]}{done.stderr[-2000:]}"
            )
        missing = first_missing(expected, done.stdout + done.stderr)
        if missing is not None:
            problems.append(
                f"line {block.line}: the output of `{command}` lacks the line {missing!r}\n"
                f"{done.stdout[-3000:]}{done.stderr[-2000:]}"
            )
    return problems


def first_missing(expected: str, output: str) -> str | None:
    """The first expected line that the output does not hold after the lines before it."""
    lines = iter(line.rstrip() for line in output.splitlines())
    for wanted in (w.rstrip() for w in expected.splitlines()):
        if wanted and wanted != "..." and not any(wanted == line for line in lines):
            return wanted
    return None
