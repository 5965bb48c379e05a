"""The shards of one check, put together: also when some of them did not come to an end."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gradcheck.result import Finding, Json, Result
from gradcheck.shards import Shard


@dataclass(frozen=True)
class Outcome:
    """What became of one shard: its part, or the finding why there is none (a crash, a timeout, a
    worker that died)."""

    shard: Shard
    part: Json = None
    finding: Finding | None = None

    @property
    def whole(self) -> bool:
        return self.finding is None


def put_together(outcomes: Sequence[Outcome], merge: Callable[[list[Json]], Result]) -> Result:
    """The result of the check. merge: of the parts that there are, in the order of the shards.

    A shard without a part comes first, for without it nothing has passed; then what the others
    found. When all shards ended alike, that is the result, as of a check that is not divided.
    """
    outcomes = sorted(outcomes, key=lambda o: o.shard.number)
    alike: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.finding is not None:
            alike.setdefault(repr(outcome.finding), []).append(outcome)
    parts = [o.part for o in outcomes if o.whole]
    if not alike:
        return merge(parts)
    if not parts and len(alike) == 1 and len(outcomes) == outcomes[0].shard.of:
        assert outcomes[0].finding is not None
        return Result(findings=(outcomes[0].finding,))
    others = merge(parts) if parts else Result()
    lost = [_lost(group, others, len(parts)) for group in alike.values()]
    return dataclasses.replace(others, findings=(*lost, *others.findings))


def _lost(group: Sequence[Outcome], others: Result, count: int) -> Finding:
    """One finding for the shards that ended in the same way, which says what the others found."""
    finding = group[0].finding
    assert finding is not None
    who = f"shard {named([o.shard for o in group])}"
    lines = list(finding.lines)
    if count:
        what = "found nothing wrong"
        if others.findings:
            what = f"found {', '.join(dict.fromkeys(f.code for f in others.findings))} (below)"
        lines.append(f"the other {'shard' if count == 1 else f'{count} shards'} {what}")
    return dataclasses.replace(
        finding,
        message=f"{who}: {finding.message}",
        lines=tuple(lines),
        data={**finding.data, "shards": [o.shard.number for o in group]},
    )


def named(shards: Sequence[Shard]) -> str:
    """'2 of 4', '1 and 3 of 4'."""
    numbers = [str(s.number) for s in shards]
    return (
        f"{', '.join(numbers[:-1])}{' and ' if numbers[1:] else ''}{numbers[-1]} of {shards[0].of}"
    )
