"""Which files are gradcheck's own, so that a line of them is nobody's mistake."""

from __future__ import annotations

import os

HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
PLUGINS = os.path.join(HOME, "plugins") + os.sep
"""Where the first-party plugins are installed: their models and ops are checked like a user's."""


def is_harness(file: str) -> bool:
    """Whether a file belongs to gradcheck and not to one of its plugins."""
    path = os.path.abspath(file)
    return path.startswith(HOME) and not path.startswith(PLUGINS)
