"""Errors about data: one sentence that says which file, why, and what to do."""

from __future__ import annotations


class DataError(Exception):
    """The requested data is not available. The message says what to do."""
