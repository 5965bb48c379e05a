"""A project whose ops do to their process what they like, between honest ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HEAD = """
import ctypes, json, os, signal, sys, threading, time
import numpy as np
import pytest
from gradcheck import hookimpl
from tinytorch import op

@op
def honest(x):
    return x * x, lambda g: 2 * x * g

"""
OP = """
@op
def {name}(x):
    {body}
    return x * x, lambda g: 2 * x * g

"""
TAIL = """
@hookimpl
def gradcheck_register(register):
    for f in ({names},):
        register.op(f.__name__, f)
"""


def write(project: Any, bodies: dict[str, str], keys: str = "") -> None:
    """An op and a case for each body, one honest case before and one after each."""
    text = HEAD + "".join(
        OP.format(name=name, body=body.replace("\n", "\n    ")) for name, body in bodies.items()
    )
    project.write("plugins/hostile.py", text + TAIL.format(names=", ".join(["honest", *bodies])))
    lines = ["schema: 1", "cases:"]
    small = "inputs: {x: [2]}, checks: {gradient: {variants: false}}"
    for i, name in enumerate(bodies):
        lines.append(f"  before_{i}: {{op: honest, {small}}}")
        lines.append(f"  {name}: {{op: {name}, {small}{keys and ', '}{keys}}}")
    lines.append(f"  after: {{op: honest, {small}}}")
    project.write("cases/a.yaml", "\n".join(lines) + "\n")


def items(path: Path) -> dict[str, dict[str, Any]]:
    """The items of a JSON report by the name of their case."""
    found: dict[str, dict[str, Any]] = {
        item["case"]: item for item in json.loads(path.read_text("utf-8"))["items"]
    }
    return found


def line_of(project: Any, text: str) -> str:
    """'plugins/hostile.py:LINE' of the first line that has `text`."""
    lines = (project.path / "plugins" / "hostile.py").read_text().splitlines()
    number = next(i for i, line in enumerate(lines, start=1) if text in line)
    return f"plugins/hostile.py:{number}"
