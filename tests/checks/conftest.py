"""What the tests of the checks share."""

from __future__ import annotations

import pytest

from tests.support.subjects import Bench
from tests.support.user import UserProject


@pytest.fixture
def user(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, everything_imported: None
) -> UserProject:
    return UserProject(pytester, monkeypatch)


@pytest.fixture
def bench() -> Bench:
    return Bench()
