"""How a process died, in words: from its exit status and from what faulthandler wrote."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass

from gradcheck.crash import is_users
from gradcheck.result import Finding
from gradcheck.source.line import Line

WINDOWS = {
    0xC0000005: "access violation",
    0xC00000FD: "stack overflow",
    0xC0000374: "damaged heap",
    0xC0000409: "abort",
}
"""Exit codes of Windows for what Unix has signals for."""

ADVICE = {
    "SIGKILL": "the system kills what takes too much memory: make the case smaller, or look for "
    "what killed it",
    "exit": "remove the call that ends the process",
}
NATIVE = (
    "native code did this: look for an index or a size that it does not test; the arrays have the "
    "shapes that the case and its variants declare"
)

_THREAD = re.compile(r"(Current thread|Thread) 0x[0-9a-f]+.*\(most recent call first\):")
_FRAME = re.compile(r'  File "(.+)", line (\d+) in (.+)')
_NOISE = re.compile(r"Fatal Python error|Extension modules:|Timeout \(|Windows fatal exception|$")
LONGEST_WORDS = 300
"""Characters of what a dying process said that a finding shows."""


@dataclass(frozen=True)
class Death:
    """status: as `subprocess.Popen.returncode` has it. dump: of faulthandler. said: what else the
    process wrote to stderr."""

    status: int
    dump: str = ""
    said: str = ""

    @property
    def cause(self) -> str:
        """'SIGSEGV', 'access violation' or 'exit'."""
        if self.status < 0:
            try:
                return signal.Signals(-self.status).name
            except ValueError:
                return f"signal {-self.status}"
        return WINDOWS.get(self.status & 0xFFFFFFFF, "exit")

    @property
    def words(self) -> str:
        """'died of SIGSEGV (segmentation fault)'."""
        if self.cause == "exit":
            return f"ended with exit status {self.status}"
        text = signal.strsignal(-self.status) if self.status < 0 else None
        return f"died of {self.cause}" + (f" ({text.lower()})" if text else "")

    @property
    def line(self) -> Line | None:
        """The innermost line of the user's code that was running."""
        return next((line for line in frames(self.dump) if is_users(line.file)), None)

    def finding(self, subject: str, check: str, *, op: str | None, when: str = "") -> Finding:
        """when: more about the moment, a clause that follows `check`."""
        line = self.line
        words = last_words(self.said)
        lines = (f"at {line}   {line.code}".rstrip(),) if line else ()
        if words:
            lines = (*lines, f"it said: {words}")
        return Finding(
            code="crashed_process",
            message=f"{subject} ended the process of its check: it {self.words} in {check}{when}",
            where=str(line) if line else None,
            op=op,
            lines=lines,
            advice=ADVICE.get(self.cause, NATIVE),
            data={"cause": self.cause, "exit_status": self.status},
        )


def frames(dump: str) -> list[Line]:
    """The frames of the thread that died, innermost first; of the main thread (the last that is
    listed) where faulthandler does not know which it was."""
    threads: list[tuple[bool, list[Line]]] = []
    for text in dump.splitlines():
        head = _THREAD.match(text)
        if head is not None:
            threads.append((head[1] == "Current thread", []))
            continue
        frame = _FRAME.match(text)
        if frame is not None and threads:
            threads[-1][1].append(Line(frame[1], int(frame[2]), frame[3]))
    current = [found for is_current, found in threads if is_current]
    return current[0] if current else threads[-1][1] if threads else []


def fatal(dump: str) -> str:
    """'Fatal Python error: Segmentation fault', where faulthandler wrote it; else ''."""
    return next((t for t in dump.splitlines() if t.startswith(("Fatal", "Windows fatal"))), "")


def last_words(said: str) -> str:
    """The last line of stderr that is not faulthandler's: 'free(): invalid pointer'."""
    for text in reversed(said.splitlines()):
        if not (_NOISE.match(text) or _THREAD.match(text) or _FRAME.match(text)):
            return text.strip()[:LONGEST_WORDS]
    return ""
