"""What a training run has measured so far."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class History:
    """losses: of every update, before it. evaluations: (updates made, held-out loss or None)."""

    losses: list[float] = field(default_factory=list)
    evaluations: list[tuple[int, float | None]] = field(default_factory=list)

    def recent(self, count: int) -> float | None:
        """The mean of the last `count` losses."""
        last = self.losses[-count:]
        return sum(last) / len(last) if last else None

    def since_evaluation(self) -> float | None:
        """The mean of the losses between the last evaluation and the one before it."""
        ends = [step for step, _ in self.evaluations]
        start, end = (ends[-2] if len(ends) > 1 else 0), (ends[-1] if ends else len(self.losses))
        part = self.losses[start:end]
        return sum(part) / len(part) if part else None
