"""Leaves entry by entry against the whole forward: by differences, or by complex steps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics.core.kinks import certify
from gradcheck.numerics.core.noise import Precision, scale_of
from gradcheck.numerics.core.verdict import Comparison, compare
from gradcheck.numerics.end_to_end import bisect, complexstep
from gradcheck.numerics.end_to_end.directions import Forward, ReplayForward
from gradcheck.numerics.end_to_end.endtoend import EndToEnd, LeafFault, gradient_of
from gradcheck.numerics.end_to_end.exhaustive import EntryLines
from gradcheck.numerics.end_to_end.preflight import Point
from gradcheck.numerics.end_to_end.replay import Replay
from gradcheck.numerics.end_to_end.share import SomeLines, among_all
from gradcheck.numerics.ops.local import signed


def check_entries(
    point: Point,
    forward: Forward,
    precision: Precision,
    found: EndToEnd,
    share: Mapping[str, Array] | None = None,
) -> dict[str, Comparison]:
    """Every entry of every trainable leaf end to end. Adds faults to `found`; verdicts by leaf.

    share: by leaf the entries to check, where other shards check the others.
    """
    gradients = {n: gradient_of(point, n) for n in dict.fromkeys(found.names)}
    names = [n for n in gradients if share is None or share[n].size]
    if not names:
        return {}
    largest = max(float(np.max(np.abs(g))) for g in gradients.values())
    floor = (1e-9 if precision.double else 100 * precision.gradients) * largest
    lines = EntryLines(forward, {n: point.values[n] for n in names}, precision)
    parts = lines.parts()
    steps = np.empty(lines.size)
    for name, part in parts.items():
        steps[part] = 2.0 ** np.round(np.log2(point.scales[name]))
    analytic = np.concatenate([gradients[n].reshape(-1) for n in names])
    chosen = np.concatenate(
        [parts[n].start + (share[n] if share else np.arange(gradients[n].size)) for n in names]
    )
    some = SomeLines(lines, chosen)
    whole = compare(
        some,
        analytic[chosen],
        steps[chosen],
        precision,
        floor=floor,
        exponents=precision.exponents[3 if precision.double else 0 :],
    )
    certify(some, whole, steps[chosen], precision, may_fail=False)
    whole = among_all(whole, chosen, analytic)
    verdicts = {n: whole.part(parts[n]) for n in names}
    for name, outcome in verdicts.items():
        if outcome.wrong.size and not any(f.name == name for f in found.faults):
            found.faults.append(_worst_entry(point, name, outcome))
            found.wrong.append(name)
    found.evaluations = forward.evaluations
    return verdicts


def check_complex(
    point: Point,
    replay: Replay,
    rng: np.random.Generator,
    found: EndToEnd,
    *,
    every_entry: bool,
    share: Mapping[str, Array] | None = None,
) -> float:
    """Complex steps: every entry, or a random direction per leaf. Returns the largest error
    relative to the largest gradient of its leaf. Raises NotAnalytic.

    share: by leaf the entries to check, where other shards check the others.
    """
    worst = 0.0
    for name in dict.fromkeys(found.names):
        x = point.values[name].astype(np.float64)
        g = gradient_of(point, name)
        d = signed(rng, x.shape)
        h = scale_of(x) * 2.0**-9
        real = bisect.numeric_slope(ReplayForward(replay, point.weights), name, x, d, h)
        exact = float(complexstep.along(replay, point.weights, name, x, d[None])[0])
        size = float(np.sqrt(np.sum((g * d) ** 2))) + abs(exact)
        if abs(real - exact) > 1e-5 * size + 1e-9:
            raise complexstep.NotAnalytic(
                f"the complex step through {name} gives {exact:.6g}, a real difference {real:.6g}"
            )
        if every_entry:
            chosen = np.arange(x.size) if share is None else share[name]
            known = complexstep.gradient(replay, point.weights, name, x, chosen)
            found.evaluations += chosen.size - x.size
            numeric = g.copy()
            numeric.reshape(-1)[chosen] = known
        else:
            numeric, g = np.array([exact]), np.array([float(np.sum(g * d))])
        found.evaluations += numeric.size
        scale = max(float(np.max(np.abs(g))), size) or float(np.max(np.abs(numeric)))
        gap = np.abs(numeric - g)
        if scale == 0.0:
            continue
        worst = max(worst, float(gap.max()) / scale)
        if gap.max() > complexstep.TOLERANCE * scale and all(f.name != name for f in found.faults):
            i = int(np.argmax(gap))
            index = tuple(int(k) for k in np.unravel_index(i, x.shape)) if every_entry else None
            a, n = float(g.reshape(-1)[i]), float(numeric.reshape(-1)[i])
            relative = abs(a - n) / max(abs(a), abs(n))
            found.faults.append(
                LeafFault(name, index, a, n, relative, point.analytic[name] is None)
            )
            found.wrong.append(name)
    return worst


def _worst_entry(point: Point, name: str, outcome: Comparison) -> LeafFault:
    wrong = outcome.wrong
    i = int(wrong[np.argmax(np.abs(outcome.analytic - outcome.numeric)[wrong])])
    index = tuple(int(k) for k in np.unravel_index(i, point.values[name].shape))
    missing = point.analytic[name] is None or not np.any(point.analytic[name])
    return LeafFault(
        name,
        index,
        float(outcome.analytic[i]),
        float(outcome.numeric[i]),
        float(outcome.relative()[i]),
        missing,
        (wrong, outcome.analytic[wrong], outcome.numeric[wrong]),
    )
