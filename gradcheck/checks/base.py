"""What a check is."""

from __future__ import annotations

from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from gradcheck.probe.subject import Subject
from gradcheck.result import Result
from gradcheck.yamlcases.case import Case


class Options(BaseModel):
    """Base of a check's options: the YAML schema of the check. Closed, strict, immutable.

    Give every field a default and a `Field(description=...)`: the case reference is made of them.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Check(Protocol):
    """A check never prints, asserts or knows pytest.

    name: the YAML key. Options: a subclass of `Options`. The first line of the class docstring is
    its line in the listing of checks.
    """

    name: str

    @property
    def Options(self) -> type[BaseModel]:  # noqa: N802  (a class inside the check's class)
        """What YAML may say of the check."""

    def applies(self, case: Case) -> str | None:
        """None when it applies, otherwise the reason why it does not."""

    def run(self, subject: Subject, options: Any) -> Result:
        """Probe the subject. Findings mean failure."""


def needs_model(case: Case) -> str | None:
    """For checks that train: the reason why an op case is not for them."""
    return None if case.model else "it is a case of an op, not of a model"


def needs_training(case: Case) -> str | None:
    """For checks that take optimizer steps."""
    if case.model is None:
        return needs_model(case)
    missing = [k for k in ("data", "optimizer") if getattr(case, k) is None]
    return f"the case has no {' and no '.join(missing)}" if missing else None
