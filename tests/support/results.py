"""What a result found, in short."""

from __future__ import annotations

from gradcheck.result import Finding, Result


def codes(result: Result) -> list[str]:
    """The codes of the findings, in their order."""
    return [finding.code for finding in result.findings]


def only(result: Result) -> Finding:
    """The one finding of a result that has no other."""
    assert len(result.findings) == 1, codes(result)
    return result.findings[0]
