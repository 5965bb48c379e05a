"""Both proofs at one point: every recorded op, then every leaf against the whole forward.

`look` sees what one shard of the check is to see, as plain JSON values: a part. `merge.merged`
makes the verdict of all parts; of a check that is not divided there is one part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import OpCall, SecondOrder
from gradcheck.numerics.core.noise import Precision, scale_of
from gradcheck.numerics.core.verdict import RIGHT
from gradcheck.numerics.end_to_end.complexstep import NotAnalytic
from gradcheck.numerics.end_to_end.directions import Forward
from gradcheck.numerics.end_to_end.endtoend import (
    EndToEnd,
    check_directions,
    make_forward,
    precision_of,
)
from gradcheck.numerics.end_to_end.entrywise import check_complex, check_entries
from gradcheck.numerics.end_to_end.preflight import Point, prepare
from gradcheck.numerics.end_to_end.replay import Replay
from gradcheck.numerics.end_to_end.secondlook import acquit
from gradcheck.numerics.end_to_end.secondorder import check_second_order
from gradcheck.numerics.ops.calls import LocalProof, check_calls
from gradcheck.numerics.telling.evidence import evidence_of, nothing, seen
from gradcheck.numerics.telling.figures import heatmap
from gradcheck.numerics.telling.merge import Examination, Part, merged
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding, Json, plain
from gradcheck.shards import Dealer, Shard


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is asked of an examination; see the options of the check `gradient`.

    scalar: whether the output must be one number; None: of a model it must.
    """

    directions: int = 1
    budget: float = 5e7
    scalar: bool | None = None
    exhaustive: bool = False
    method: str = "auto"
    order: int = 1


def examine(subject: Subject, *, seed: int = 0, **settings: Any) -> Examination:
    """Check the gradients of `subject` where it stands. `subject` is used up.

    settings: those of `Settings`.
    """
    looked = Look(subject, seed, Settings(**settings), Shard())
    done = merged([looked.part()])
    done.point = looked.point
    return done


def look(subject: Subject, *, seed: int, shard: Shard, **settings: Any) -> Part:
    """What one shard sees, as `merged` wants it. `subject` is used up."""
    return Look(subject, seed, Settings(**settings), shard).part()


class Look:
    """One shard's look at a point.

    Every draw has a generator of its own, from the seed and what it is for: what one shard finds
    changes nothing of what another one sees.
    """

    def __init__(self, subject: Subject, seed: int, wanted: Settings, shard: Shard) -> None:
        self.subject, self.seed, self.wanted, self.shard = subject, seed, wanted, shard
        self.scalar = subject.case.op is None if wanted.scalar is None else wanted.scalar
        self.point: Point | None = None
        self._handwritten: list[OpCall] | None = None

    def rng(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, purpose])

    def part(self) -> Part:
        with np.errstate(all="ignore"):  # what is not finite becomes a finding
            point = prepare(self.subject, self.rng(11), scalar=self.scalar)
            if isinstance(point, Finding):
                return {"stopped": point.to_json()}
            self.point = point
            part: Part = plain(self.see(point))
        return part

    def see(self, point: Point) -> Part:
        wanted, shard = self.wanted, self.shard
        precision = precision_of(point)
        part: Part = {
            "trainable": len(point.trainable),
            "entries": sum(point.values[n].size for n in point.trainable),
            "findings": [f.to_json() for f in point.findings],
            "notes": point.notes,
            "closing_notes": self.closing_notes(point),
            "float32": None if precision.double else precision.relative,
            "replay": False,
        }
        replay = None
        local = LocalProof()
        if precision.double:
            replay = Replay(point.tape) if point.tape else None
            calls = point.tape or self.handwritten()
            local = check_calls(calls, seed=self.seed, budget=wanted.budget, shard=shard)
            part |= {"replay": replay is not None, "local": local.to_json()}
        faulty = bool(local.faults)
        forward = make_forward(point, replay, self.rng(14), precision)
        found = self.along(point, forward, precision, settle=not faulty, only=self.own(point))
        if not faulty and found.faults:
            part["notes"] = [*part["notes"], *acquit(point, forward, found, precision)]
        part["quick" if faulty else "ends"] = seen(point, found)
        if not faulty:
            if not shard.whole and (found.outcome.state != RIGHT).any():
                # Another shard may hold a wrong op: then leaves are counted by the quick rule.
                quick = self.along(point, forward, precision, settle=False, only=self.own(point))
                part["quick"] = seen(point, quick)
            if found.faults and replay and (local.certificate.kinks or not shard.whole):
                part["beside"] = self.beside(point)
            if part["trainable"] and wanted.exhaustive and wanted.method != "complex":
                part["exhaustive"] = self.entries(point, forward, precision)
            if part["trainable"] and wanted.method == "complex":
                part["complex"] = self.complex(point, replay, found, forward)
            fine = not point.findings and (not found.faults or part.get("beside"))
            if wanted.order == 2 and shard.last and fine:
                part["second"] = self.second(point)
        part["evaluations"] = forward.evaluations
        return part

    # --- end to end -------------------------------------------------------------------------

    def own(self, point: Point) -> set[str] | None:
        """The leaves whose directions this shard takes; None for all."""
        if self.shard.whole:
            return None
        total = sum(v.size for v in point.values.values())
        dealer = Dealer(self.shard)
        return {n for n in point.trainable if dealer.mine(float(total + point.values[n].size))}

    def along(
        self,
        point: Point,
        forward: Forward,
        precision: Precision,
        *,
        settle: bool,
        only: set[str] | None,
    ) -> EndToEnd:
        return check_directions(
            point,
            forward,
            precision,
            self.rng(15),
            directions=self.wanted.directions,
            settle=settle,
            only=only,
        )

    def beside(self, point: Point) -> Json:
        """All leaves at a point beside the kinks; None when all is not well there either.

        At a kink of several pieces a direction has a left and a right slope, and the gradient of
        one piece need not lie between them.
        """
        rng = self.rng(16)
        subject = point.subject.fresh()
        for name in point.trainable:
            x = point.values[name]
            away = 2.0**-13 * scale_of(x) * rng.uniform(-1.0, 1.0, x.shape)
            subject.set(name, x + away)
        moved = prepare(subject, rng, scalar=self.scalar)
        if isinstance(moved, Finding) or moved.findings or not moved.tape:
            return None
        precision = precision_of(moved)
        forward = make_forward(moved, Replay(moved.tape), rng, precision)
        found = self.along(moved, forward, precision, settle=True, only=None)
        return None if found.faults else seen(moved, found)

    def blocks(self, point: Point) -> dict[str, Any]:
        """By leaf the entries that this shard takes."""
        sizes = [(n, point.values[n].size) for n in point.trainable]
        return {
            n: np.asarray(self.shard.block(size, turn), dtype=np.int64)
            for turn, (n, size) in enumerate(sizes)
        }

    def entries(self, point: Point, forward: Forward, precision: Precision) -> Json:
        """This shard's entries, one by one."""
        found = nothing([n for n in point.trainable if point.values[n].size])
        verdicts = check_entries(point, forward, precision, found, self.blocks(point))
        maps = {n: heatmap(v, point.values[n]) for n, v in verdicts.items()}
        return {"faults": evidence_of(point, found), "heatmap": maps}

    def complex(
        self, point: Point, replay: Replay | None, along: EndToEnd, forward: Forward
    ) -> Json:
        """Complex steps. stopped: at which leaf they turned out not to go, and the reason."""
        if replay is None or not along.replayed:
            return None
        every, share, own = self.wanted.exhaustive, self.blocks(point), self.own(point)
        told: Json = {"every": every, "worst": 0.0, "faults": [], "stopped": None}
        for i, name in enumerate(point.trainable):
            mine = share[name].size if every else own is None or name in own
            if not mine or not point.values[name].size:
                continue
            found = nothing([name])
            rng = np.random.default_rng([self.seed, 17, i])
            try:
                worst = check_complex(point, replay, rng, found, every_entry=every, share=share)
            except NotAnalytic as error:
                told["stopped"] = [i, str(error)]
                break
            finally:
                forward.evaluations += found.evaluations
            told["worst"] = max(told["worst"], worst)
            told["faults"] += evidence_of(point, found)
        return told

    # --- the rest ---------------------------------------------------------------------------

    def second(self, point: Point) -> Json:
        """Second derivatives, of all leaves at once: by the last shard."""
        framework = self.subject.framework
        if isinstance(framework, SecondOrder):
            found = check_second_order(point, self.rng(18))
            return {"findings": [f.to_json() for f in found], "note": None}
        note = (
            f"{framework.name} cannot differentiate its own backward: only first derivatives were "
            "checked"
        )
        return {"findings": [], "note": note}

    def handwritten(self) -> list[OpCall]:
        """The calls that can be checked where there is no tape."""
        if self._handwritten is None:
            self._handwritten = self.subject.handwritten()
        return self._handwritten

    def closing_notes(self, point: Point) -> list[str]:
        notes = []
        if point.tape is None:
            names = ", ".join(dict.fromkeys(c.name for c in self.handwritten()))
            notes.append(
                f"the backward of {names} was checked entry by entry, everything else end to end "
                "only, along random directions"
                if names
                else "the framework records no op calls: checked end to end only, along random "
                "directions"
            )
        frozen = len(self.subject.leaves) - len(point.trainable)
        if frozen:
            notes.append(f"{frozen} frozen leaves were not checked")
        return notes
