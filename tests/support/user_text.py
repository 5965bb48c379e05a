"""The net that a user's file in these tests has, and a look at what the terminal says."""

from __future__ import annotations

NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(64, 16)
        self.second = nn.Linear(16, 10)

    def forward(self, x):
        h = self.first(x.reshape(len(x), 64))
        {middle}
        return self.second(h)
"""


def net(*middle: str) -> str:
    return NET.replace("{middle}", "\n        ".join(middle))


def in_order(text: str, *parts: str) -> None:
    """Every part is in the text, one after the other."""
    at = 0
    for part in parts:
        found = text.find(part, at)
        assert found >= 0, f"{part!r} is missing (after {text[max(0, at - 80) : at]!r}) in:\n{text}"
        at = found + len(part)
