"""Options of the check `updates`, and what they say about a parameter."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import Literal

from pydantic import Field

from gradcheck.checks.base import Options
from gradcheck.probe.subject import Subject


class UpdatesOptions(Options):
    """Options of the check `updates`."""

    frozen: list[str] = Field(
        default=[], description="Parameters that must not move: names or patterns (emb.*)."
    )
    formula: Literal["auto", "sgd", "adam", "adamw", "rmsprop", "adagrad", "none"] = Field(
        default="auto",
        description="The rule that the optimizer must follow; auto goes by its name, none skips.",
    )
    same_gradient: bool = Field(
        default=True,
        description="The optimizer gets the gradient of the loss, at most clipped or decayed.",
    )
    outside_step: bool = Field(
        default=False,
        description="The training step may change weights outside optimizer.step().",
    )
    steps: int = Field(default=3, ge=1, description="Steps that are compared with the formula.")
    tolerance: float = Field(
        default=1e-5, gt=0, description="Relative difference from the formula that is allowed."
    )

    def declare_frozen(self, name: str) -> bool:
        return any(fnmatch(name, pattern) for pattern in self.frozen)

    def freeze(self, subject: Subject, name: str) -> bool:
        """Whether a parameter is frozen: declared here, or by the framework's own flag."""
        leaf = subject.parameters[name]
        return self.declare_frozen(name) or not subject.framework.trainable(leaf)

    def trained(self, subject: Subject) -> list[str]:
        """The parameters that should train."""
        return [n for n in subject.parameters if not self.freeze(subject, n)]
