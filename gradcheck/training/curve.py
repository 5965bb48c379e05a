"""The losses of a training run as a page of the HTML report: running mean and held-out losses."""

from __future__ import annotations

from collections.abc import Sequence

from gradcheck.report.entry import Entry
from gradcheck.report.html import page
from gradcheck.report.jsonfile import document
from gradcheck.result import plain
from gradcheck.training.history import History
from gradcheck.yamlcases.case import Case

MOST_POINTS = 1000


def curve_page(history: History, case: Case) -> str:
    """The page, which draws losses that are not finite as such."""
    steps = list(range(1, len(history.losses) + 1))
    held_out = [(step, loss) for step, loss in history.evaluations if loss is not None]
    entry = Entry(
        nodeid=f"{case.id}::train",
        file=case.place.file,
        line=case.place.line,
        case=case.name,
        check="train",
        subject=case.subject_name,
        framework=case.framework,
        measurements={"updates": len(steps)},
        figures=plain(
            {
                "loss_curve": {
                    "steps": _thinned(steps),
                    "loss": _thinned(_running_mean(history.losses)),
                },
                "held_out": {
                    "steps": [step for step, _ in held_out],
                    "loss": [loss for _, loss in held_out],
                },
            }
        ),
        yaml=case.place.text,
    )
    return page(document([entry]))


def _running_mean(losses: Sequence[float]) -> list[float]:
    """Each loss averaged with the 2 % of the run before it."""
    window = max(1, len(losses) // 50)
    parts = [losses[max(0, i + 1 - window) : i + 1] for i in range(len(losses))]
    return [sum(part) / len(part) for part in parts]


def _thinned(values: Sequence[float]) -> list[float]:
    step = max(1, -(-len(values) // MOST_POINTS))
    return [v for i, v in enumerate(values) if i % step == 0 or i == len(values) - 1]
