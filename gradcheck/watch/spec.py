"""What the process that runs the script is told, and what it tells: plain values, JSON between."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gradcheck.frameworks.protocol import Cut


@dataclass(frozen=True)
class Trial:
    """One more run of the script, from its first backward on.

    kind: 'rate' trains with the rates multiplied by `factor`; 'trace' looks for the cuts that lie
    between the loss and the parameters `names`. steps: of the optimizer, at most; seconds: at most.
    goal: a mean loss that ends it early. bridge: cuts that are bridged meanwhile. result: the file
    for what it found.
    """

    kind: Literal["rate", "trace"]
    result: str
    factor: float = 1.0
    steps: int = 40
    seconds: float = 60.0
    goal: float | None = None
    bridge: tuple[Cut, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spec:
    """script: as given. arguments: its own. scratch: a folder for all files. steps: how many are
    looked at. proof: whether the ops are checked. commands, answers: file descriptors to the
    process that asked, None where trials have to run the script again. trial: what to do in place
    of looking."""

    script: str
    arguments: tuple[str, ...]
    scratch: str
    plugins: tuple[str, ...]
    report: str
    steps: int = 6
    seed: int = 0
    module: bool = False
    proof: bool = True
    commands: int | None = None
    answers: int | None = None
    trial: Trial | None = None


def write(path: str | Path, value: Any) -> None:
    """A dataclass as JSON."""
    text = json.dumps(dataclasses.asdict(value))
    Path(path).write_text(text, encoding="utf-8")


def trial_of(values: Mapping[str, Any]) -> Trial:
    cuts = tuple(Cut(**{**c, **_tuples(c)}) for c in values["bridge"])
    return Trial(**{**values, "bridge": cuts, "names": tuple(values["names"])})


def cut_of(values: Mapping[str, Any]) -> Cut:
    return Cut(**{**values, **_tuples(values)})


def _tuples(cut: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    return {name: tuple(cut[name]) for name in ("shape", "upstream", "only")}


def spec_of(path: str | Path) -> Spec:
    values = json.loads(Path(path).read_text(encoding="utf-8"))
    trial = values["trial"]
    values = {**values, "trial": None if trial is None else trial_of(trial)}
    for name in ("arguments", "plugins"):
        values[name] = tuple(values[name])
    return Spec(**values)
