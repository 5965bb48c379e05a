"""What goes wrong with data is told in one sentence: which file, why, and what to do."""

from __future__ import annotations


class DataError(Exception):
    """The data that were asked for cannot be had. The message says what to do."""
