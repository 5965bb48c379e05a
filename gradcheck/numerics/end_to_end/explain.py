"""Whether values that leave the graph explain a wrong gradient: hold them, and look again.

A gradient that is wrong while every op is right was lost between the ops. Where the program takes
values out of the graph (`detach`, an array, a number), those values are held at what they are here,
and the same comparison is made again. What is right then was wrong for that reason alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gradcheck.frameworks.protocol import HoldsStops
from gradcheck.probe.stops import Exit, Stops
from gradcheck.probe.subject import Subject

MOST = 12
"""Lines of which each is tried alone; of more, all are named together."""

Look = Callable[[], frozenset[str]]
"""Compares once more; the names of what is wrong."""


@dataclass(frozen=True)
class Explained:
    """Lines that explain why `names` are wrong: with their values held, they are right."""

    exits: tuple[Exit, ...]
    names: frozenset[str]


def explain(
    subject: Subject, declared: Sequence[str], wrong: frozenset[str], look: Look
) -> Explained | None:
    """The fewest lines that explain some of what is wrong; None where none does.

    declared: stops that are held already. look: is called with other values held.
    """
    if not isinstance(subject.framework, HoldsStops):
        return None
    before = subject.stops
    try:
        exits = _exits(subject, declared)
        if not exits:
            return None
        left = _wrong_with(subject, declared, exits, look)
        if not wrong - left:
            return None
        for one in tuple(exits) if len(exits) <= MOST else ():
            fewer = [e for e in exits if e is not one]
            if fewer and _wrong_with(subject, declared, fewer, look) <= left:
                exits = fewer
        return Explained(tuple(exits), wrong - left)
    except Exception:  # a program that does not run another time explains nothing
        return None
    finally:
        subject.stops = before
        if before is not None:
            before.anchor()


def _exits(subject: Subject, declared: Sequence[str]) -> list[Exit]:
    """Every line where values leave the graph in a forward, without what is declared."""
    subject.stops = stops = Stops(declared)
    subject.forward()
    held = stops.held()
    return [e for e in stops.exits.values() if e not in held]


def _wrong_with(
    subject: Subject, declared: Sequence[str], exits: Sequence[Exit], look: Look
) -> frozenset[str]:
    subject.stops = Stops([*declared, *(f"{e.at.file}:{e.at.line}" for e in exits)])
    subject.forward()
    return look()
