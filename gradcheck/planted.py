"""Planted faults: each registered fault on its case, and what the named check says.

A fault is caught when its check passes without it and, while it is planted, fails with the finding
that it names, at the op, parameter or line that it expects.
"""

from __future__ import annotations

import dataclasses
import textwrap
import warnings
from collections.abc import Mapping
from typing import Any

from gradcheck.engine import run_check
from gradcheck.names.registry import Entry, Registry
from gradcheck.result import Finding, Result
from gradcheck.source.line import Line
from gradcheck.yamlcases.case import Case


@dataclasses.dataclass(frozen=True)
class FaultReport:
    """What the named check made of one fault.

    verdict: 'caught', 'missed', 'misnamed', 'false alarm' (fails without it) or 'no case'.
    text: one sentence. result: of the check under the fault, None where it was not run.
    """

    name: str
    check: str
    verdict: str
    text: str
    result: Result | None = None


def case_of(entry: Entry, registry: Registry) -> Case:
    """The case of a fault, from its YAML text. Raises ValueError with every error of the text."""
    text = textwrap.dedent(entry.extra["case"]).strip("\n")
    if not any(line.startswith("checks:") for line in text.splitlines()):
        text += f"\nchecks: [{entry.extra['check']}]"
    try:
        return case_from(text, registry)
    except ValueError as error:
        raise ValueError(f"the case of fault {entry.name} ({entry.where}): {error}") from None


def case_from(text: str, registry: Registry) -> Case:
    """The case with these keys, as YAML. Raises ValueError with every error of the text."""
    from gradcheck.yamlcases.load import load_text

    loaded = load_text("schema: 1\ncases:\n  case:\n" + textwrap.indent(text, "    "), registry)
    if loaded.errors or not loaded.cases:
        raise ValueError("; ".join(str(e) for e in loaded.errors))
    return loaded.cases[0]


class Planting:
    """Runs faults one by one. A case that several faults share is run once without them."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._healthy: dict[tuple[str, str], Result] = {}

    def healthy(self, entry: Entry) -> Result:
        """The check of the fault on its case, with nothing planted."""
        key = (str(entry.extra["case"]), str(entry.extra["check"]))
        if key not in self._healthy:
            case = case_of(entry, self.registry)
            self._healthy[key] = _run(case, key[1], self.registry)
        return self._healthy[key]

    def planted(self, entry: Entry) -> Result:
        """The same while the fault is planted."""
        with entry.value():
            case = case_of(entry, self.registry)
            return _run(case, str(entry.extra["check"]), self.registry)

    def run(self, entry: Entry) -> FaultReport:
        check, wanted = str(entry.extra["check"]), str(entry.extra["finding"])
        if not isinstance(entry.extra.get("case"), str):
            return FaultReport(
                entry.name, check, "no case", "register it with case='...', the keys of a case"
            )
        before = self.healthy(entry)
        if before.outcome != "passed":
            said = before.reason or before.findings[0].message
            return FaultReport(
                entry.name, check, "false alarm", f"without it the check {before.outcome}: {said}"
            )
        result = self.planted(entry)
        hits = [f for f in result.findings if f.code == wanted]
        if not hits:
            found = ", ".join(f"{f.code} ({f.message})" for f in result.findings)
            said = found or result.reason or "nothing"
            return FaultReport(
                entry.name, check, "missed", f"{wanted} was expected, found: {said}", result
            )
        wrong = misnamed(hits[0], entry.extra.get("expect") or {})
        if wrong:
            return FaultReport(entry.name, check, "misnamed", wrong, result)
        return FaultReport(entry.name, check, "caught", f"{wanted}: {hits[0].message}", result)


def _run(case: Case, check: str, registry: Registry) -> Result:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # overflow is what some faults are about
        return run_check(case, check, registry)


def misnamed(finding: Finding, expect: Mapping[str, Any]) -> str:
    """What the finding names otherwise than expected; '' when all is as it should be.

    expect: `op` and `parameter` by name; `line`, a part of the source line at `where`; `message`.
    """
    wrong = []
    for key, wanted in expect.items():
        if key == "line":
            at = Line.parse(finding.where)
            got = at.code if at else ""
            fine = wanted in got
        elif key == "message":
            got, fine = finding.message, wanted in finding.message
        else:
            got = getattr(finding, key)
            fine = got == wanted
        if not fine:
            wrong.append(f"{key} is {got!r}, expected {wanted!r}")
    return "; ".join(wrong)
