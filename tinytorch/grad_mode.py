"""Whether ops record a graph: `no_grad`, `enable_grad`. Each thread has a mode of its own."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any


class _State(threading.local):
    recording = True


state = _State()


class _Recording:
    """Context, or decorator, in which ops record a graph or do not. Can be nested and reused."""

    recording: bool

    def __init__(self) -> None:
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(state.recording)
        state.recording = self.recording

    def __exit__(self, *exc: object) -> None:
        state.recording = self._before.pop()

    def __call__(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with type(self)():
                return fn(*args, **kwargs)

        return wrapped


class no_grad(_Recording):
    """Context (or decorator) in which ops record nothing: results have no graph."""

    recording = False


class enable_grad(_Recording):
    """Context (or decorator) in which ops record again, inside a `no_grad`."""

    recording = True


def is_grad_enabled() -> bool:
    """Whether ops record a graph on this thread now."""
    return state.recording
