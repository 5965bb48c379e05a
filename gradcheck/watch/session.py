"""Events of a running script, whichever framework sends them, and the point where it is split.

At the first backward the process is copied (`fork`), where that is safe. The copy waits, and each
further trial is a copy of it: the script goes on from the same weights, batch and generator.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from gradcheck.frameworks.protocol import Framework, Leaf, WatchesTraining
from gradcheck.source.line import Line
from gradcheck.watch.names import Named, name_leaves
from gradcheck.watch.places import users_line
from gradcheck.watch.spec import Spec, Trial, trial_of


@dataclass
class Watched:
    """An optimizer of the script. at: the line that made it. named: once the first backward ran."""

    number: int
    optimizer: Any
    framework: Framework
    at: Line | None
    named: Named = field(default_factory=Named)
    ready: bool = False
    steps: int = 0

    def held(self) -> list[Leaf]:
        assert isinstance(self.framework, WatchesTraining)
        return self.framework.held(self.optimizer)

    def rates(self) -> list[float]:
        return [float(group["lr"]) for group in groups_of(self.optimizer) if "lr" in group]

    def full_name(self, name: str) -> str:
        """A name that no parameter of another optimizer has."""
        return f"{self.number}:{name}"

    def name(self) -> None:
        """Find the names, from within an event."""
        held = self.held()
        if self.ready and len(self.named.leaves) == len({id(leaf) for leaf in held}):
            return
        assert isinstance(self.framework, WatchesTraining)
        self.named = name_leaves(self.framework, self.framework.is_module, held)
        self.ready = True


def groups_of(optimizer: Any) -> Sequence[dict[str, Any]]:
    groups = getattr(optimizer, "param_groups", None)
    return groups if isinstance(groups, list) else ()


class Mode(Protocol):
    """What is done with the events: `Look` at the first steps, or run a `Trial`."""

    def model_called(self, framework: Framework, call: ModelCall) -> None: ...
    def loss_called(self, framework: Framework, call: LossCall) -> None: ...
    def batch_drawn(self, loader: Any, number: int) -> None: ...
    def before_backward(self, framework: Framework, output: Any) -> bool: ...
    def after_backward(self, framework: Framework, output: Any) -> None: ...
    def before_step(self, watched: Watched) -> None: ...
    def after_step(self, watched: Watched) -> None: ...
    def ended(self, how: str, where: str | None) -> None:
        """The script is over: 'returned', 'exited', or the error that it raised."""


@dataclass(frozen=True)
class LossCall:
    """A call of a loss function of the framework."""

    name: str
    output: Any
    target: Any
    options: Mapping[str, Any]
    result: Any
    at: Line | None


@dataclass(frozen=True)
class ModelCall:
    """A call of a module by a line outside any module."""

    model: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    output: Any


class Session:
    """The events of all frameworks that the script uses, given to the mode that is on."""

    def __init__(self, spec: Spec, look: Callable[[Session], Mode]) -> None:
        self.spec = spec
        self.optimizers: list[Watched] = []
        self.split = False
        self.failures: list[str] = []  # of plugins, one of which may be that of the framework
        self.mode: Mode = look(self)
        self.stepping: set[int] = set()
        self.script_thread = threading.get_ident()

    def watched(self, optimizer: Any, framework: Framework) -> Watched:
        for known in self.optimizers:
            if known.optimizer is optimizer:
                return known
        new = Watched(len(self.optimizers), optimizer, framework, users_line())
        self.optimizers.append(new)
        return new

    def listener(self, framework: Framework) -> Listener:
        return Listener(self, framework)

    # --- splitting -------------------------------------------------------------------------------

    def snapshot(self) -> Trial | None:
        """Leave a copy of the process that waits for trials. In this process None; in the copies
        that run one, that trial. `split` says afterwards whether a copy waits."""
        spec = self.spec
        if spec.commands is None or spec.answers is None or not may_fork():
            return None
        sys.stdout.flush()
        sys.stderr.flush()
        if os.fork():
            self.split = True
            return None
        return serve(spec.commands, spec.answers)


class Listener:
    """A `TrainingListener` of one framework."""

    def __init__(self, session: Session, framework: Framework) -> None:
        self.session = session
        self.framework = framework
        self.depth = 0

    def _off(self) -> bool:
        """Not the script's own thread, or within an event of ours."""
        return threading.get_ident() != self.session.script_thread

    def optimizer_made(self, optimizer: Any) -> None:
        self.session.watched(optimizer, self.framework)

    def model_called(
        self, model: Any, args: Sequence[Any], kwargs: Mapping[str, Any], output: Any
    ) -> None:
        if not self._off():
            call = ModelCall(model, tuple(args), dict(kwargs), output)
            self.session.mode.model_called(self.framework, call)

    def loss_called(
        self, name: str, output: Any, target: Any, options: Mapping[str, Any], result: Any
    ) -> None:
        if not self._off():
            call = LossCall(name, output, target, options, result, users_line())
            self.session.mode.loss_called(self.framework, call)

    def batch_drawn(self, loader: Any, number: int) -> None:
        if not self._off():
            self.session.mode.batch_drawn(loader, number)

    def before_backward(self, output: Any) -> bool:
        return self._off() or self.session.mode.before_backward(self.framework, output)

    def after_backward(self, output: Any) -> None:
        if not self._off():
            self.session.mode.after_backward(self.framework, output)

    def before_step(self, optimizer: Any) -> None:
        stepping = self.session.stepping
        if self._off() or id(optimizer) in stepping:  # a step that calls its base class's
            return
        stepping.add(id(optimizer))
        self.session.mode.before_step(self.session.watched(optimizer, self.framework))

    def after_step(self, optimizer: Any) -> None:
        stepping = self.session.stepping
        if self._off() or id(optimizer) not in stepping:
            return
        stepping.discard(id(optimizer))
        watched = self.session.watched(optimizer, self.framework)
        watched.steps += 1
        self.session.mode.after_step(watched)


# --- copies of the process ------------------------------------------------------------------------


def may_fork() -> bool:
    """Whether a copy of this process would go on like the original: a single thread, no child
    processes, no file in the middle of being read, no device that does not survive a fork."""
    if not hasattr(os, "fork") or threading.active_count() != 1:
        return False
    try:
        if len(os.listdir("/proc/self/task")) != 1:
            return False
        opened = {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in _descriptors() if fd > 2}
        read = [path for fd, path in opened.items() if _reads(fd)]
    except OSError:
        return False
    devices = [p for p in opened.values() if p.startswith(("/dev/nvidia", "/dev/kfd", "/dev/dri"))]
    return not devices and not any(os.path.isfile(path) for path in read)


def _reads(descriptor: int) -> bool:
    """Whether a file is open for reading: copies of the process would share its position."""
    with open(f"/proc/self/fdinfo/{descriptor}") as file:
        flags = next(line for line in file if line.startswith("flags:"))
    return int(flags.split()[1], 8) & os.O_ACCMODE != os.O_WRONLY


def _descriptors() -> list[int]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            os.fstat(int(name))
        except OSError:  # the descriptor of this very listing
            continue
        found.append(int(name))
    return found


def serve(commands: int, answers: int) -> Trial | None:
    """Wait for trials, and return one in a copy that is to run it. Ends with whoever asks."""
    silent = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silent, stream)
    running: dict[int, str] = {}
    rest = b""
    while True:
        ready, _, _ = select.select([commands], [], [], 0.02 if running else None)
        if ready:
            chunk = os.read(commands, 1 << 16)
            if not chunk:
                for pid in running:
                    os.kill(pid, signal.SIGKILL)
                os._exit(0)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                trial = trial_of(json.loads(line))
                pid = os.fork()
                if pid == 0:
                    os.close(commands)
                    return trial
                running[pid] = trial.result
        for pid in list(running):
            done, _ = os.waitpid(pid, os.WNOHANG)
            if done:
                os.write(answers, (json.dumps(running.pop(pid)) + "\n").encode())


def save(path: str, value: Any) -> None:
    """JSON that is there as a whole or not at all."""
    beside = Path(f"{path}.part")
    beside.write_text(json.dumps(value, allow_nan=True), encoding="utf-8")
    os.replace(beside, path)
