"""Time limits, ends and changes of the process by the code under test."""

from __future__ import annotations

import builtins
import os
import random
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from gradcheck.engine import run_check
from gradcheck.guard.deadline import TimedOut, deadline
from gradcheck.guard.death import Death, frames, last_words
from gradcheck.guard.state import State
from tests.test_engine import case, made

alarms = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarm signals")


def run(op: Any) -> Any:
    return run_check(case(gradient={"variants": False}), "gradient", made(op))


# --- time ---------------------------------------------------------------------------------------


@alarms
def test_a_swallowed_alarm_comes_again_and_counts(monkeypatch) -> None:
    monkeypatch.setattr("gradcheck.guard.deadline.AGAIN", 0.05)
    swallowed: list[BaseException] = []

    def swallows() -> None:
        while len(swallowed) < 3:
            try:
                time.sleep(10)
            except BaseException as error:
                swallowed.append(error)

    with pytest.raises(TimedOut), deadline(0.05):
        swallows()
    assert len(swallowed) == 3


@alarms
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_alarm_swallowed_by_a_finaliser_counts() -> None:
    class Slow:
        def __del__(self) -> None:
            time.sleep(0.2)

    with pytest.raises(TimedOut), deadline(0.05):
        Slow()


def test_no_limit_and_an_early_end_leave_everything_as_it_was() -> None:
    handlers = signal.getsignal(signal.SIGALRM) if hasattr(signal, "SIGALRM") else None
    with deadline(None), deadline(30):
        pass
    if handlers is not None:
        assert signal.getsignal(signal.SIGALRM) is handlers
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_error_at_the_end_of_a_late_block_is_a_timeout_too() -> None:
    def late() -> None:
        with deadline(0.01):
            end = time.monotonic() + 0.05
            while time.monotonic() < end:
                pass

    result: list[str] = []

    def elsewhere() -> None:  # no alarm reaches this thread
        try:
            late()
        except TimedOut:
            result.append("timed out")

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert result == ["timed out"]


# --- ends ---------------------------------------------------------------------------------------


def exits(x):
    os._exit(0)


def leaves(x):
    sys.exit("enough")


def skips(x):
    pytest.skip("not today")


def expects(x):
    pytest.xfail("known")


def interrupts(x):
    raise KeyboardInterrupt


def generator(x):
    raise GeneratorExit


@pytest.mark.parametrize(
    ("op", "said"),
    [
        (exits, "exits called os._exit(0)"),
        (leaves, "leaves called sys.exit('enough')"),
        (skips, "skips raised Skipped: not today"),
        (expects, "expects raised XFailed: known"),
        (interrupts, "interrupts raised KeyboardInterrupt"),
        (generator, "generator raised GeneratorExit"),
    ],
)
def test_what_would_end_or_skip_the_run_is_a_finding_with_its_line(op, said) -> None:
    result = run(op)
    (finding,) = result.findings
    assert (result.outcome, finding.code) == ("failed", "crashed")
    assert finding.message.replace("op ", f"{op.__name__} ", 1) == said
    assert "test_guard.py:" in finding.where
    assert os._exit.__module__ == "posix" or os._exit.__module__ == "nt"


@alarms
def test_the_users_own_interrupt_goes_through() -> None:
    def interrupted(x):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    with pytest.raises(KeyboardInterrupt):
        run(interrupted)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_fork_that_runs_on_ends_with_its_check() -> None:
    pids: list[int] = []
    tried: list[bool] = []

    def forks(x):
        if not tried:  # once, and never again in the fork itself
            tried.append(True)
            pids.append(os.fork())
        return x * x, lambda g: 2 * x * g

    run(forks)
    assert 0 not in pids  # the forks did not get here
    for pid in pids:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


# --- changes ------------------------------------------------------------------------------------


def squares(change: Any) -> Any:
    def op(x):
        change()
        return x * x, lambda g: 2 * x * g

    return op


def test_a_replaced_function_is_put_back_and_is_a_finding() -> None:
    before = np.exp, builtins.open

    def mine(*args: Any) -> None: ...

    def change() -> None:
        np.exp = mine  # type: ignore[assignment]
        builtins.open = mine  # type: ignore[assignment]

    result = run(squares(change))
    assert (np.exp, builtins.open) == before
    finding = result.findings[0]
    assert finding.code == "replaced_function"
    assert "numpy.exp, builtins.open" in finding.message
    assert "test_guard.py" in (finding.where or "")


def test_other_changes_are_put_back_and_noted(tmp_path) -> None:
    before = (os.getcwd(), sys.getrecursionlimit(), sys.stdout, signal.getsignal(signal.SIGTERM))
    seen = random.getstate(), np.random.get_state()[1].tolist()

    def change() -> None:
        os.chdir(tmp_path)
        sys.setrecursionlimit(5000)
        sys.stdout.close()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        random.random()
        np.random.rand()

    result = run(squares(change))
    assert result.outcome == "passed"
    after = (os.getcwd(), sys.getrecursionlimit(), sys.stdout, signal.getsignal(signal.SIGTERM))
    assert after == before
    assert not sys.stdout.closed
    assert (random.getstate(), np.random.get_state()[1].tolist()) == seen
    said = " | ".join(result.notes)
    for what in ("sys.stdout was closed", "working directory", "recursion limit", "SIGTERM"):
        assert what in said, what


def test_an_honest_op_leaves_no_note() -> None:
    result = run(squares(lambda: None))
    assert (result.outcome, result.notes) == ("passed", ())


def test_a_thread_that_is_left_is_named() -> None:
    stop = threading.Event()
    made_once: list[threading.Thread] = []

    def change() -> None:
        if not made_once:
            made_once.append(threading.Thread(target=stop.wait, name="left-behind"))
            made_once[0].start()

    try:
        assert any("left-behind" in note for note in run(squares(change)).notes)
    finally:
        stop.set()


def test_threads_of_a_pool_are_not_left_behind() -> None:
    pools: list[ThreadPoolExecutor] = []

    def change() -> None:
        pools.append(ThreadPoolExecutor(1))
        pools[-1].submit(int).result()

    try:
        assert run(squares(change)).notes == ()
    finally:
        for pool in pools:
            pool.shutdown()


def test_a_folder_that_was_deleted_is_left(tmp_path, monkeypatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(tmp_path)
    state = State()
    os.chdir(gone)
    gone.rmdir()
    assert any("working directory" in note for note in state.restored().notes)
    assert os.getcwd() == str(tmp_path)


# --- deaths -------------------------------------------------------------------------------------

DUMP = """Fatal Python error: Segmentation fault

Thread 0x00007f01 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 320 in wait

Current thread 0x00007f02 (most recent call first):
  File "{numpy}", line 7 in inner
  File "{here}", line 12 in outer
  File "/x/other.py", line 3 in main
"""


def test_the_place_of_a_death_is_the_innermost_line_of_the_user() -> None:
    dump = DUMP.format(numpy=np.__file__, here=__file__)
    assert [line.line for line in frames(dump)] == [7, 12, 3]
    death = Death(-11, dump, "free(): invalid pointer\n" + dump)
    assert str(death.line).endswith("test_guard.py:12")
    finding = death.finding("op", "gradient", op="op")
    assert "SIGSEGV" in finding.message
    assert finding.lines[-1] == "it said: free(): invalid pointer"


def test_without_a_current_thread_it_is_the_last_one_listed() -> None:
    dump = DUMP.replace("Current thread", "Thread").format(numpy=np.__file__, here=__file__)
    assert [line.line for line in frames(dump)] == [7, 12, 3]
    assert frames("") == []
    assert last_words(dump) == ""


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (3, "ended with exit status 3"),
        (0xC0000005, "died of access violation"),
    ],
)
def test_exit_statuses_in_words(status, words) -> None:
    assert Death(status).words == words
