"""Copies that perturb different leaves, through one pass over the tape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.frameworks.protocol import Array
from gradcheck.numerics.end_to_end.directions import ROOM, grouped
from gradcheck.numerics.end_to_end.replay import Replay, Rows, join, split
from gradcheck.probe.from_case import CaseSubject
from gradcheck.probe.subject import Subject
from gradcheck.yamlcases.case import Case
from tests.numerics.test_correct import Mixed, step
from tests.support.numerics import registry


@pytest.fixture
def subject() -> Subject:
    made = registry(model=("model", Mixed), step=("step", step))
    return CaseSubject(Case(name="m", model="model", step="step"), made, dtype="float64")


def by_the_framework(subject: Subject, name: str, values: Array) -> list[float]:
    before = subject.get(name)
    found = []
    for value in values:
        subject.set(name, value)
        found.append(float(subject.value(subject.forward())))
    subject.set(name, before)
    return found


def test_one_leaf_at_a_time_equals_the_framework(subject: Subject) -> None:
    replay = Replay(subject.tape(subject.forward()))
    source = np.random.default_rng(3)
    for name in subject.leaves:
        before = subject.get(name)
        values = before + 0.01 * source.standard_normal((5, *before.shape))
        expected = by_the_framework(subject, name, values)
        assert replay.run([(name, values)]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_all_leaves_at_once_equal_the_framework(subject: Subject, seed: int) -> None:
    replay = Replay(subject.tape(subject.forward()))
    source = np.random.default_rng(seed)
    names = source.permutation([*subject.leaves, *subject.leaves])  # each leaf in two moves
    moves = []
    for name in names:
        before = subject.get(name)
        count = int(source.integers(1, 4))
        moves.append((name, before + 0.01 * source.standard_normal((count, *before.shape))))
    expected = [v for name, values in moves for v in by_the_framework(subject, name, values)]
    assert replay.run(moves) == pytest.approx(expected, rel=1e-12)


def test_leaves_moved_in_the_same_copies(subject: Subject) -> None:
    replay = Replay(subject.tape(subject.forward()))
    source = np.random.default_rng(0)
    changes = {
        name: subject.get(name) + 0.01 * source.standard_normal((3, *subject.get(name).shape))
        for name in subject.leaves
    }
    many = replay.run_together(changes)
    for k in range(3):
        for name, values in changes.items():
            subject.set(name, values[k])
        assert many[k] == pytest.approx(float(subject.value(subject.forward())), rel=1e-12)


def test_a_leaf_that_nothing_depends_on_changes_nothing(subject: Subject) -> None:
    replay = Replay(subject.tape(subject.forward()))
    assert replay.run([("no such leaf", np.zeros((3, 2)))]).tolist() == [replay.output] * 3


@st.composite
def some_rows(draw: st.DrawFn) -> list[Rows]:
    sets = draw(st.lists(st.sets(st.integers(0, 12), min_size=1), min_size=1, max_size=4))
    return [
        Rows(np.array(sorted(s)), np.array([[100.0 * i + n] for n in sorted(s)]))
        for i, s in enumerate(sets)
    ]


@given(some_rows())
def test_every_copy_is_in_one_part_with_the_inputs_that_differ(inputs: list[Rows]) -> None:
    parts = split(inputs)
    numbers = np.concatenate([n for n, _ in parts])
    assert sorted(numbers.tolist()) == sorted({int(n) for r in inputs for n in r.numbers})
    for numbers, which in parts:
        for position, rows in enumerate(inputs):
            assert np.isin(numbers, rows.numbers).tolist() == [position in which] * len(numbers)
            if position in which:
                assert rows.at(numbers)[:, 0].tolist() == (100.0 * position + numbers).tolist()


@given(some_rows())
def test_joined_parts_are_in_order(inputs: list[Rows]) -> None:
    parts = [Rows(n, inputs[w[0]].at(n)) for n, w in split(inputs)]
    whole = join(parts)
    assert whole.numbers.tolist() == sorted(whole.numbers.tolist())
    for part in parts:
        assert whole.at(part.numbers).tolist() == part.values.tolist()


class Sized:
    def __init__(self, largest: int) -> None:
        self.largest = largest


@given(
    st.lists(st.tuples(st.integers(1, 200), st.integers(1, 2 * ROOM)), min_size=1),
    st.integers(0, ROOM),
    st.none() | st.integers(1, 300),
)
def test_groups_hold_every_job_once_and_have_room(
    jobs: list[tuple[int, int]], largest: int, most: int | None
) -> None:
    groups = grouped(Sized(largest), [c for c, _ in jobs], [s for _, s in jobs], most)
    assert [i for group in groups for i in group] == list(range(len(jobs)))
    for group in groups:
        if len(group) > 1:
            copies = sum(jobs[i][0] for i in group)
            assert copies * largest <= ROOM
            assert copies <= (most or copies)
            assert sum(jobs[i][0] * jobs[i][1] for i in group) <= ROOM
