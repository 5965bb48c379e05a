"""Show the progress of training: one line that changes on a terminal, separate lines in a log."""

from __future__ import annotations

import time
from typing import TextIO

from gradcheck.training.trainer import Trainer

ON_TERMINAL_SECONDS = 0.2
IN_LOG_SECONDS = 10.0
RECENT = 20
"""Updates over which the shown loss is averaged."""


class Progress:
    """Call `step` after every update, `evaluation` after every evaluation."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.terminal = out.isatty()
        self._started = time.perf_counter()
        self._first_step = 0
        self._shown = self._started
        self._open_line = False

    def start(self, trainer: Trainer) -> None:
        self._started = self._shown = time.perf_counter()
        self._first_step = trainer.step

    def step(self, trainer: Trainer) -> None:
        now = time.perf_counter()
        if now - self._shown < (ON_TERMINAL_SECONDS if self.terminal else IN_LOG_SECONDS):
            return
        self._shown = now
        text = self.line(trainer, now)
        if self.terminal:
            self.out.write(f"\r\x1b[K{text}")
            self._open_line = True
        else:
            self.out.write(text + "\n")
        self.out.flush()

    def line(self, trainer: Trainer, now: float) -> str:
        """'step 120/2000  loss 2.41  26,500 tokens/s  1:02 left'."""
        steps = trainer.spec.steps
        done = trainer.step - self._first_step
        seconds = max(now - self._started, 1e-9)
        rate = done / seconds
        loss = trainer.history.recent(RECENT)
        parts = [f"step {trainer.step}/{steps}", f"loss {'?' if loss is None else f'{loss:.3f}'}"]
        if done:
            parts.append(f"{rate * trainer.units_per_step:,.0f} {trainer.unit}/s")
            parts.append(f"{duration((steps - trainer.step) / rate)} left")
        return "  ".join(parts)

    def evaluation(self, trainer: Trainer) -> None:
        """'step 100/2000  train 2.53  validation 2.50  26,500 tokens/s  1:02 left'."""
        step, held_out = trainer.history.evaluations[-1]
        train = trainer.history.since_evaluation()
        parts = [f"step {step}/{trainer.spec.steps}"]
        if step:
            parts.append(f"train loss {'?' if train is None else f'{train:.4f}'}")
        if held_out is not None:
            parts.append(f"validation loss {held_out:.4f}")
        done, seconds = step - self._first_step, time.perf_counter() - self._started
        if done > 0:
            rate = done / max(seconds, 1e-9)
            parts.append(f"{rate * trainer.units_per_step:,.0f} {trainer.unit}/s")
            if step < trainer.spec.steps:
                parts.append(f"{duration((trainer.spec.steps - step) / rate)} left")
        self.say("  ".join(parts))

    def say(self, text: str) -> None:
        """Write a line of its own."""
        if self._open_line:
            self.out.write("\r\x1b[K")
            self._open_line = False
        self.out.write(text + "\n")
        self.out.flush()


def duration(seconds: float) -> str:
    """'0:07', '12:30', '2:05:00'."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
