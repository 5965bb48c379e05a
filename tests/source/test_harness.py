"""Whose file a line is in: gradcheck's own, or a plugin's that is installed below it."""

from __future__ import annotations

from pathlib import Path

import gradcheck
from gradcheck.source.line import is_harness

HOME = Path(gradcheck.__file__).parent


def test_only_what_is_not_a_plugin_is_gradchecks_own() -> None:
    assert is_harness(str(HOME / "engine.py"))
    assert is_harness(str(HOME / "names" / "plugins.py"))
    assert not is_harness(str(HOME / "plugins" / "basics" / "models.py"))
    assert not is_harness(str(HOME.parent / "gradcheck_of_mine.py"))
