"""Curves in one line of text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gradcheck.report.entry import as_float

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 32


def sparkline(values: Sequence[float | None], *, width: int = WIDTH) -> str:
    """One bar per value, at most `width`, in proportion to the value: what hardly changes looks
    flat. Negative values lower the ground line. What is not finite is drawn as '!'."""
    points = thin([math.nan if v is None else float(v) for v in values], width)
    finite = [p for p in points if math.isfinite(p)]
    if not finite:
        return "!" * len(points)
    low, high = min(0.0, *finite), max(0.0, *finite)
    span = high - low
    bars = []
    for p in points:
        if not math.isfinite(p):
            bars.append("!")
        else:
            share = (p - low) / span if span > 0 else 0.0
            bars.append(BARS[min(int(share * len(BARS)), len(BARS) - 1)])
    return "".join(bars)


def thin(values: list[float], width: int) -> list[float]:
    """At most `width` of the values, evenly, the first and the last among them."""
    if len(values) <= width:
        return values
    step = (len(values) - 1) / (width - 1)
    return [values[round(i * step)] for i in range(width)]


def figure_lines(figures: Mapping[str, Any]) -> list[str]:
    """A line for each figure that fits one: the loss curve."""
    lines = []
    curve = figures.get("loss_curve")
    if isinstance(curve, Mapping) and curve.get("loss"):
        loss = [as_float(v) for v in curve["loss"]]
        steps = curve.get("steps") or [len(loss)]
        lines.append(
            f"loss {short(loss[0])} {sparkline(loss)} {short(loss[-1])} (step {steps[-1]})"
        )
    return lines


def short(value: float | None) -> str:
    return "?" if value is None else f"{value:.3g}"
