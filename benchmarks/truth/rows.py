"""What one subject came to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """name: of the subject, what it is a run of, then details. outcome: 'passed', 'failed',
    'skipped' or 'raised'. said: what was found. peer: what torch.autograd.gradcheck says of a
    subject that did not pass ('pass', or why not); None where it was not asked. seconds: of our
    check."""

    name: str
    outcome: str
    said: str = ""
    peer: str | None = None
    seconds: float = 0.0

    @property
    def of(self) -> str:
        """The op or layer."""
        return self.name.partition(" ")[0]

    @property
    def accused(self) -> bool:
        """Whether it is red, and torch does not find it wrong too."""
        return self.outcome in ("failed", "raised") and self.peer in ("pass", None)
