"""What one subject came to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """name: of the subject. outcome: 'passed', 'failed', 'skipped' or 'raised'. said: what was
    found. peer: what torch.autograd.gradcheck says of a subject that did not pass ('pass', or why
    not). seconds: of our check."""

    name: str
    outcome: str
    said: str = ""
    peer: str = ""
    seconds: float = 0.0

    def alarm(self, known: dict[str, str]) -> bool:
        """An alarm that is not deserved: torch passes, and no reason is listed."""
        op = self.name.partition(" ")[0]
        return self.outcome in ("failed", "raised") and self.peer == "pass" and op not in known
