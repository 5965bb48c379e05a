"""The loss curve of a training run as an SVG: every update, its running mean, held-out losses."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradcheck.training.history import History

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 36, 44
MOST_POINTS = 1000


def loss_curve(history: History, title: str) -> str:
    """An SVG document. Numbers that are not finite are left out."""
    every = [(i + 1.0, v) for i, v in enumerate(history.losses) if math.isfinite(v)]
    held_out = [(float(s), v) for s, v in history.evaluations if v is not None and math.isfinite(v)]
    shown = every + held_out
    if not shown:
        return _document(title, "")
    right = max(x for x, _ in shown)
    low, high = _nice_range(min(y for _, y in shown), max(y for _, y in shown))

    def place(point: tuple[float, float]) -> str:
        x = LEFT + point[0] / right * (WIDTH - LEFT - RIGHT)
        y = TOP + (high - point[1]) / (high - low) * (HEIGHT - TOP - BOTTOM)
        return f"{x:.1f},{y:.1f}"

    parts = []
    for i in range(5):
        value = low + (high - low) * i / 4
        at = place((0, value)).split(",")[1]
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>'
            f'<text x="{LEFT - 8}" y="{at}" dy="4" text-anchor="end">{value:.3g}</text>'
        )
        step = right * i / 4
        x = place((step, low)).split(",")[0]
        parts.append(
            f'<text x="{x}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{step:.0f}</text>'
        )
    for name, points in (
        ("every", _thinned(every)),
        ("train", _thinned(_running_mean(every))),
        ("validation", held_out),
    ):
        if points:
            path = " ".join(place(p) for p in points)
            parts.append(f'<polyline class="{name}" points="{path}"/>')
    if held_out:
        parts += [
            f'<circle class="validation" cx="{c[0]}" cy="{c[1]}" r="3"/>'
            for c in (place(p).split(",") for p in held_out)
        ]
    return _document(title, "\n".join(parts))


def _document(title: str, body: str) -> str:
    text = title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">
<title>{text}</title>
<style>
svg {{ background: #fff; font: 12px sans-serif; fill: #333; }}
polyline {{ fill: none; stroke-width: 2; }}
.every {{ stroke: #9bb8d3; stroke-width: 1; opacity: 0.6; }}
.train {{ stroke: #1f5f99; }}
polyline.validation {{ stroke: #c4501b; }}
circle.validation {{ fill: #c4501b; }}
.grid {{ stroke: #ddd; }}
</style>
<text x="{LEFT}" y="20" font-size="14">{text}</text>
<text x="{WIDTH - RIGHT}" y="20" text-anchor="end">loss: <tspan fill="#1f5f99">training</tspan>,
<tspan fill="#c4501b">held out</tspan></text>
{body}
<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">updates</text>
</svg>
"""


def _nice_range(low: float, high: float) -> tuple[float, float]:
    margin = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return low - margin if low < 0 else max(0.0, low - margin), high + margin


def _running_mean(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Each loss averaged with the 2 % of the run before it."""
    window = max(1, len(points) // 50)
    total, means = 0.0, []
    for i, (x, y) in enumerate(points):
        total += y - (points[i - window][1] if i >= window else 0.0)
        means.append((x, total / min(i + 1, window)))
    return means


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    step = max(1, -(-len(points) // MOST_POINTS))
    return [p for i, p in enumerate(points) if i % step == 0 or i == len(points) - 1]
