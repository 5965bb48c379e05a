"""A user's own data with a classical bug each, run through pytest as a new user would."""

from __future__ import annotations

import pytest

from tests.support.user_text import net

CHARS = """
class Chars(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(40, 40)

    def forward(self, ids):
        return self.table(ids)


class Text:
    source = "repeated"
    def __init__(self, shift=1):
        self.ids = np.random.default_rng(0).integers(0, 40, 400)
        self.shift = shift

    def __len__(self):
        return 30

    def __getitem__(self, i):
        start = 10 * i + self.shift
        return self.ids[10 * i : 10 * i + 8], self.ids[start : start + 8]


def shifted(model, batch, loss):
    ids, targets = batch
    return loss(model(ids)[:, :-1], targets[:, 1:])
"""


@pytest.mark.parametrize("where", ["step", "data"])
def test_targets_shifted_twice(user, golden, where: str) -> None:
    user.script(CHARS, models="net: Chars", datasets="text: Text", steps="shifted: shifted")
    keys = {"loss": "sequence_cross_entropy"}
    if where == "step":
        keys |= {"step": "shifted", "data": "{name: text, batch: 8}"}
    else:
        keys |= {"data": "{name: text, batch: 8, shift: 2}"}
    golden(user.said("[alignment]", **keys))


def test_targets_not_shifted(user, golden) -> None:
    user.script(CHARS, models="net: Chars", datasets="text: Text")
    golden(
        user.said(
            "[alignment]", loss="sequence_cross_entropy", data="{name: text, batch: 8, shift: 0}"
        )
    )


def test_shifted_once_passes(user) -> None:
    user.script(CHARS, models="net: Chars", datasets="text: Text")
    text = user.check("[alignment]", loss="sequence_cross_entropy", data="{name: text, batch: 8}")
    assert user.outcomes == {"passed": 1}, text


def test_inputs_and_labels_shuffled_apart(user, golden) -> None:
    user.script(
        net("h = h.relu()")
        + """
class Apart:
    def __init__(self):
        rng = np.random.default_rng(0)
        self.x, self.y = rng.normal(size=(64, 64)).astype("f4"), np.arange(64) % 10

    def __len__(self):
        return 64

    def __getitem__(self, i):
        return self.x[i], self.y[i]

    def loader(self, batch_size, shuffle, seed):
        rng = np.random.default_rng(seed)
        x, y = self.x[rng.permutation(64)], self.y[rng.permutation(64)]
        return [(x[i : i + 16], y[i : i + 16]) for i in range(0, 64, 16)]
""",
        models="net: Net",
        datasets="apart: Apart",
    )
    golden(user.said("[loader]", data="{name: apart, batch: 16}"))
