"""What a check is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from gradcheck.probe.subject import Subject
from gradcheck.result import Json, Result
from gradcheck.shards import Shard
from gradcheck.yamlcases.case import Case


class Options(BaseModel):
    """Base of a check's options: the YAML schema of the check. Closed, strict, immutable.

    Give every field a default and a `Field(description=...)`: the case reference is made of them.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


Shards = Annotated[
    int,
    Field(
        ge=1,
        le=999,
        description="parts of the check that run as tests of their own, so that several workers "
        "share one large check; they make one verdict",
    ),
]
"""The option of a check that is `Shardable`: `shards: Shards = 1`."""


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


@runtime_checkable
class Shardable(Protocol):
    """Capability of a check: it can be done in parts. Its options have `shards: Shards = 1`.

    Each shard gets a fresh subject with the same seed, perhaps in another process. Which part of
    the work is its own must follow from the subject, the options and the shard alone.
    """

    def run_shard(self, subject: Subject, options: Any, shard: Shard) -> Json:
        """What this shard saw: JSON values, as `merge` wants them. No verdict."""

    def merge(self, parts: Sequence[Json], options: Any) -> Result:
        """The verdict over what the shards saw, in their order. Some may be missing (a worker
        died): then the result tells what the others found."""


def shards_of(check: Check, case: Case, name: str) -> int:
    """In how many shards the case wants the check called `name`; 1 when it cannot be divided."""
    field = check.Options.model_fields.get("shards")
    if field is None or not isinstance(check, Shardable):
        return 1
    wanted = (case.checks.get(name) or {}).get("shards", field.default)
    return wanted if type(wanted) is int and wanted > 1 else 1


def needs_model(case: Case) -> str | None:
    """For checks that train: the reason why an op case is not for them."""
    return None if case.model else "it is a case of an op, not of a model"


def needs_training(case: Case) -> str | None:
    """For checks that take optimizer steps."""
    if case.model is None:
        return needs_model(case)
    missing = [k for k in ("data", "optimizer") if getattr(case, k) is None]
    return f"the case has no {' and no '.join(missing)}" if missing else None
