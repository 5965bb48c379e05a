"""Error of a numeric derivative against its step, as inline SVG in docs/numerics.md.

    python benchmarks/error_against_step.py          # rewrites the figure in the document
    python benchmarks/error_against_step.py --print  # the numbers instead

The function is the loss of a small network in float64, along one random direction; the exact slope
is its analytic one.
"""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path

import numpy as np

from gradcheck.numerics.core.differences import SLOPE

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "numerics.md"
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 320, 62, 44, 16
NAMES = {1: "order 2", 2: "order 4", 3: "order 6"}
COLOURS = {1: "#b5532a", 2: "#2a6fb5", 3: "#2a8a4a"}
X_RANGE, Y_RANGE = (-12, 0), (-15, 0)


def errors() -> dict[int, list[tuple[float, float]]]:
    """Stencil -> (step, relative error), steps from 1e-12 to 1."""
    rng = np.random.default_rng(0)
    x, w1, w2 = (rng.standard_normal(s) for s in ((16, 8), (8, 32), (32, 4)))
    y = rng.integers(0, 4, 16)
    d = rng.standard_normal(w1.shape) / math.sqrt(w1.size)

    def loss(w: np.ndarray) -> float:
        z = np.tanh(x @ w) @ w2
        z = z - z.max(-1, keepdims=True)
        return float(np.mean(np.log(np.exp(z).sum(-1)) - z[np.arange(16), y]))

    h = np.tanh(x @ w1)
    z = h @ w2
    p = np.exp(z - z.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    p[np.arange(16), y] -= 1
    exact = float(np.sum((x.T @ ((p / 16) @ w2.T * (1 - h * h))) * d))
    found: dict[int, list[tuple[float, float]]] = {k: [] for k in SLOPE}
    for step in np.logspace(-12, 0, 97):
        for count, weights in SLOPE.items():
            numeric = sum(
                a * (loss(w1 + k * step * d) - loss(w1 - k * step * d))
                for k, a in enumerate(weights, 1)
            )
            found[count].append((float(step), abs(numeric / step - exact) / abs(exact)))
    return found


def svg(found: dict[int, list[tuple[float, float]]]) -> str:
    """A log-log plot, legible on light and dark."""

    def at(step: float, error: float) -> tuple[float, float]:
        u = (math.log10(step) - X_RANGE[0]) / (X_RANGE[1] - X_RANGE[0])
        v = (math.log10(max(error, 1e-16)) - Y_RANGE[0]) / (Y_RANGE[1] - Y_RANGE[0])
        v = min(max(v, 0.0), 1.0)
        return LEFT + u * (WIDTH - LEFT - 90), HEIGHT - BOTTOM - v * (HEIGHT - BOTTOM - TOP)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'font-family="sans-serif" font-size="12" fill="#777">',
        "<title>Relative error of a numeric derivative against its step, for stencils of "
        "order 2, 4 and 6</title>",
    ]
    for power in range(X_RANGE[0], X_RANGE[1] + 1, 2):
        x, y = at(10.0**power, 10.0 ** Y_RANGE[0])
        parts.append(f'<path d="M{x:.0f} {TOP}V{y:.0f}" stroke="#8884"/>')
        parts.append(f'<text x="{x:.0f}" y="{y + 16:.0f}" text-anchor="middle">1e{power}</text>')
    for power in range(Y_RANGE[0], Y_RANGE[1] + 1, 3):
        x, y = at(10.0 ** X_RANGE[0], 10.0**power)
        end = at(10.0 ** X_RANGE[1], 1.0)[0]
        parts.append(f'<path d="M{x:.0f} {y:.0f}H{end:.0f}" stroke="#8884"/>')
        parts.append(f'<text x="{x - 6:.0f}" y="{y + 4:.0f}" text-anchor="end">1e{power}</text>')
    for count, points in found.items():
        path = "L".join("{:.1f} {:.1f}".format(*at(*p)) for p in points)
        colour = COLOURS[count]
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        y = TOP + 18 * count
        parts.append(f'<text x="{WIDTH - 82}" y="{y}" fill="{colour}">{NAMES[count]}</text>')
    for text, step, error in (("rounding, 1/h", 1e-9, 1e-4), ("truncation", 3e-2, 1e-3)):
        x, y = at(step, error)
        parts.append(f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="middle">{text}</text>')
    for count, error, step in ((1, 1e-6, 3e-3), (2, 3e-8, 4.5e-2), (3, 1e-10, 0.22)):
        x, y = at(step, error)
        power = "²⁴⁶"[count - 1]
        parts.append(f'<text x="{x:.0f}" y="{y:.0f}" fill="{COLOURS[count]}">h{power}</text>')
    middle = (LEFT + WIDTH - 90) / 2
    parts.append(f'<text x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">step h</text>')
    parts.append(
        f'<text x="14" y="{HEIGHT / 2:.0f}" text-anchor="middle" '
        f'transform="rotate(-90 14 {HEIGHT / 2:.0f})">relative error</text>'
    )
    return "\n".join([*parts, "</svg>"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--print", action="store_true", dest="show")
    found = errors()
    if parser.parse_args().show:
        for count, points in found.items():
            step, error = min(points, key=lambda p: p[1])
            print(f"{NAMES[count]}: best relative error {error:.1e} at step {step:.1e}")
        return
    text = DOCUMENT.read_text(encoding="utf-8")
    figure = f"<!-- figure -->\n{svg(found)}\n<!-- /figure -->"
    text = re.sub(r"<!-- figure -->.*?<!-- /figure -->", lambda _: figure, text, flags=re.DOTALL)
    DOCUMENT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
