"""Options of the check `graph`."""

from __future__ import annotations

from pydantic import Field

from gradcheck.checks.base import Options


class GraphOptions(Options):
    """Options of the check `graph`."""

    frozen: list[str] = Field(
        default=[],
        description="Parameters that are not intended to train: names or patterns (emb.*).",
    )
    allow: list[str] = Field(
        default=[],
        description="Intended cuts: 'file.py:12', 'file.py', or the name of the function "
        "or tensor as the line calls it.",
    )
    batch: int | None = Field(
        default=4,
        ge=1,
        description="Samples to run on; the graph does not depend on them, the time does. "
        "null: the case's batch.",
    )
    vanishing: float = Field(
        default=1e-3,
        gt=0,
        description="A gradient smaller than this share of the numeric slope counts as vanishing.",
    )
    max_dead: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="The share of units of one ReLU that may be zero, and of entries of one tanh "
        "or sigmoid that may be saturated, on the whole batch.",
    )
    unused_inputs: list[int | str] = Field(
        default=[],
        description="Inputs of the model that may be without effect, by place or name in the "
        "batch.",
    )
