"""What several tests of the framework share."""

from __future__ import annotations

from typing import Any

import pytest

from tinytorch import OPS, op


@pytest.fixture
def own_op() -> Any:
    """Define ops that are forgotten after the test."""
    before = dict(OPS)
    yield op
    OPS.clear()
    OPS.update(before)
