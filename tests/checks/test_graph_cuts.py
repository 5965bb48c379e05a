"""Which of several cuts is to blame, and how often it is said."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.result import Finding
from tests.support.results import codes
from tests.support.subjects import Bench
from tinytorch import Tensor, nn


def code_at(finding: Finding) -> str:
    from gradcheck.source.line import Line

    at = Line.parse(finding.where)
    assert at is not None
    return at.code


class TwoLayers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 5)


class CutBeforeANorm(TwoLayers):
    """The norm takes its scale out of the graph, nearer the loss than the cut that matters."""

    def forward(self, x: Tensor) -> Tensor:
        h = Tensor(self.first(x).data)
        h = h + self.second.bias.sum()
        scale = Tensor(np.sqrt(h.data.var(-1, keepdims=True) + 1e-5))
        return self.second((h - h.mean(-1, True)) / scale)


class DetachedScale(TwoLayers):
    """What the scale loses is small; what `first` loses is everything."""

    def forward(self, x: Tensor) -> Tensor:
        h = Tensor(np.tanh(self.first(x).data))
        scale = h.abs().max().detach()
        return self.second(h / scale)


class TwiceOnALine(TwoLayers):
    def __init__(self) -> None:
        super().__init__()
        self.other = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.first(x), self.other(x)
        h = Tensor(a.data) * b.detach()
        return self.second(h)


class TwoInARow(TwoLayers):
    def __init__(self) -> None:
        super().__init__()
        self.middle = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x).detach()
        h = Tensor(self.middle(h).data)
        return self.second(h)


def only(bench: Bench, model: Any) -> Finding:
    (finding,) = bench.run("graph", model).findings
    assert finding.code == "cut"
    return finding


def test_the_cut_that_all_ways_to_the_loss_go_through_is_to_blame(bench: Bench) -> None:
    for model in (CutBeforeANorm, DetachedScale):
        finding = only(bench, model)
        assert code_at(finding).startswith("h = Tensor(")
        assert finding.data["parameters"] == ["first.weight", "first.bias"]


def test_cuts_of_one_line_are_one_finding_that_names_the_parameters_of_all(bench: Bench) -> None:
    finding = only(bench, TwiceOnALine)
    assert code_at(finding) == "h = Tensor(a.data) * b.detach()"
    assert finding.data["parameters"] == [
        "first.weight", "first.bias", "other.weight", "other.bias"
    ]  # fmt: skip
    assert finding.message.startswith("4 of 6 parameters")


def test_of_two_cuts_in_a_row_the_nearer_is_to_blame_and_the_other_is_mentioned(
    bench: Bench,
) -> None:
    finding = only(bench, TwoInARow)
    assert code_at(finding) == "h = Tensor(self.middle(h).data)"
    assert len(finding.data["parameters"]) == 4
    further = [line for line in finding.lines if line.startswith("further upstream")]
    assert len(further) == 1
    assert "h = self.first(x).detach()" in further[0]


def test_a_finding_says_each_line_once(bench: Bench) -> None:
    finding = only(bench, TwoInARow)
    told = " ".join([finding.message, *finding.lines, finding.advice or ""])
    assert told.count("h = Tensor(self.middle(h).data)") == 1
    assert told.count(str(finding.where)) == 1
    assert codes(bench.run("graph", TwoInARow)) == ["cut"]
