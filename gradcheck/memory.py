"""Keeping freed memory, so that the next arrays need not be asked of the system."""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
"""Parameters of glibc's mallopt (malloc.h)."""
LARGEST = 1 << 30


@lru_cache(maxsize=1)
def keep_freed_memory() -> bool:
    """Tell the C library to keep freed memory for this process; True where that can be done.

    glibc gives an array of more than some hundred KiB back to the system when it is freed, and the
    next one costs a page fault for every 4 KiB: a quarter of a training step and a third of a check
    of every entry, measured. It holds for the whole process and to its end: what was freed serves
    later arrays, but no other process.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    settings = (
        (M_MMAP_THRESHOLD, LARGEST),
        (M_TRIM_THRESHOLD, LARGEST),
        (M_TOP_PAD, 64 * 1024 * 1024),
    )
    return all(mallopt(parameter, value) == 1 for parameter, value in settings)
