"""A check in several parts: which part is whose. The same answer in every process."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

NAMED = re.compile(r"(\d+)of(\d+)")


@dataclass(frozen=True)
class Shard:
    """The part `number` (from 1) of `of`. The whole is the only part of one."""

    number: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise ValueError(f"there is no shard {self.number} of {self.of}")

    def __str__(self) -> str:
        return f"{self.number} of {self.of}"

    @property
    def whole(self) -> bool:
        return self.of == 1

    @property
    def last(self) -> bool:
        return self.number == self.of

    @property
    def name(self) -> str:
        """As the last part of a node id: `2of4`."""
        return f"{self.number}of{self.of}"

    @classmethod
    def named(cls, name: str) -> Shard | None:
        """The shard of such a name, None for any other text."""
        found = NAMED.fullmatch(name)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            return None
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def all(cls, of: int) -> list[Shard]:
        return [cls(number, of) for number in range(1, of + 1)]

    def block(self, size: int, turn: int = 0) -> range:
        """Of `size` like things those of this shard: a run of neighbours.

        turn: counts the things that are so divided, so that what does not divide evenly goes to
        another shard each time.
        """
        k = (self.number - 1 + turn) % self.of
        return range(k * size // self.of, (k + 1) * size // self.of)


@dataclass
class Dealer:
    """Deals things of different cost one after the other, each to the shard that has least.

    Every shard asks about every thing, in the same order, and so all agree whose it is.
    """

    shard: Shard
    loads: list[float] = field(default_factory=list)

    def mine(self, cost: float) -> bool:
        if not self.loads:
            self.loads = [0.0] * self.shard.of
        least = self.loads.index(min(self.loads))
        self.loads[least] += cost
        return least == self.shard.number - 1
