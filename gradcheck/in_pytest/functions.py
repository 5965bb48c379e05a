"""`--gradcheck-functions`: the handwritten backwards of some packages, checked at the inputs that
they get in a test suite that knows nothing of it.

While the tests run, every call of such a function is noted with a copy of its inputs, each distinct
signature once. After the last test each becomes an item of its own, named by the function and the
test that brought it, which runs like any other: its failure is a failure of the run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gradcheck import options
from gradcheck.guard.deadline import TimedOut, deadline
from gradcheck.in_pytest.base import KEY, CheckFailed, GradcheckItem
from gradcheck.in_pytest.items import skipped
from gradcheck.report.entry import Entry
from gradcheck.report.text import quoted, result_text
from gradcheck.source.line import Line

if TYPE_CHECKING:
    from gradcheck.frameworks.protocol import Framework, MetFunction, WatchesFunctions
    from gradcheck.result import Result

NODE = "gradcheck-functions"
LARGEST = 1 << 24
"""Bytes of the inputs of one call that is kept: a larger one takes too long to check anyway."""
MEMORY = 1 << 28
"""Bytes of all inputs that are kept."""
SIGNATURES = 24
"""Signatures of one function that are kept: a parametrized suite can have thousands."""


@dataclasses.dataclass(frozen=True)
class Noted:
    """A call, the adapter that can run it again, and the node id of the test that brought it."""

    met: MetFunction
    adapter: Framework
    test: str


class Watcher:
    """Notes calls in the process that runs the tests. packages: import names."""

    def __init__(self, config: pytest.Config, packages: list[str]) -> None:
        self.config = config
        self.packages = packages
        self.seconds = float(options.value(config, "functions_seconds"))
        self.noted: list[Noted] = []
        self.watched: set[str] = set()
        self.trouble: list[str] = []
        self.left_out: Counter[str] = Counter()
        self._seen: set[tuple[str, str]] = set()
        self._signatures: Counter[str] = Counter()
        self._bytes = 0
        self._test = ""
        self._adapters: list[Any] | None = None

    # --- while tests run --------------------------------------------------------------------

    @pytest.hookimpl
    def pytest_collection_finish(self) -> None:
        """The packages are imported, so that their functions are there before the first test."""
        for package in self.packages:
            try:
                importlib.import_module(package)
            except Exception as error:
                self.trouble.append(
                    f"--gradcheck-functions: {package} cannot be imported: "
                    f"{type(error).__name__}: {error}"
                )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        if isinstance(item, GradcheckItem):
            return (yield)
        self._test = item.nodeid
        with ExitStack() as stack:
            for adapter in self.adapters():
                self.watched.update(
                    stack.enter_context(
                        adapter.watch_functions(self.packages, self._wanted, self._keep(adapter))
                    )
                )
            return (yield)

    def adapters(self) -> list[WatchesFunctions]:
        """Of every framework that is installed and can watch."""
        if self._adapters is None:
            from gradcheck.frameworks.protocol import WatchesFunctions
            from gradcheck.names.registry import UnknownName

            registry = self.config.stash[KEY].load_plugins()
            self._adapters = []
            for name in registry.names("framework"):
                try:
                    adapter = registry.framework(name)
                except UnknownName:  # not installed: no test uses it
                    continue
                if isinstance(adapter, WatchesFunctions):
                    self._adapters.append(adapter)
        return self._adapters

    def _wanted(self, function: str, arguments: str, size: int) -> bool:
        key = (function, arguments)
        if key in self._seen:
            return False
        if (
            self._signatures[function] >= SIGNATURES
            or size > LARGEST
            or self._bytes + size > MEMORY
        ):
            self._seen.add(key)
            self.left_out[function] += 1
            return False
        return True

    def _keep(self, adapter: Any) -> Any:
        def keep(met: MetFunction) -> None:
            function = f"{met.module}.{met.name}"
            key = (function, met.arguments)
            if key in self._seen:
                return
            self._seen.add(key)
            self._signatures[function] += 1
            self._bytes += sum(a.nbytes for a in met.inputs.values())
            self.noted.append(Noted(met, adapter, self._test))

        return keep

    # --- after the last test ----------------------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        result = yield
        if not self.config.option.collectonly:
            self.run_items(session)
        return result

    def run_items(self, session: pytest.Session) -> None:
        """Like pytest's own loop, one item after the other. Under xdist each signature is claimed
        by the first worker that comes to it."""
        noted = [n for n in self.noted if self._claimed(n)]
        items = list(self._items(session, noted))
        if not items:
            return
        session.testscollected += len(items)
        end = time.monotonic() + self.seconds
        for i, item in enumerate(items):
            item.end = end
            session.items.append(item)
            self._tell_xdist(len(session.items) - 1)
            following = items[i + 1] if i + 1 < len(items) else None
            self.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)

    def _items(self, session: pytest.Session, noted: list[Noted]) -> Iterator[FunctionItem]:
        parent = FunctionsNode.from_parent(session, name=NODE, nodeid=NODE)
        names: Counter[str] = Counter()
        for order, one in enumerate(noted):
            test = one.test.rpartition("::")[2]
            name = f"{one.met.name}[{test}]"
            names[name] += 1
            if names[name] > 1:
                name = f"{name}-{names[name]}"
            item = FunctionItem.from_parent(parent, name=name, noted=one)
            item.order = len(session.items) + order
            yield item

    def _claimed(self, noted: Noted) -> bool:
        folder = getattr(self.config, "workerinput", {}).get("gradcheck_claims")
        if folder is None:
            return True
        key = f"{noted.met.module}.{noted.met.name} {noted.met.arguments}"
        name = hashlib.sha256(key.encode()).hexdigest()
        try:
            os.close(os.open(Path(folder, name), os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        except OSError:  # a worker on another machine: twice is better than never
            return True
        return True

    def _tell_xdist(self, index: int) -> None:
        """xdist's worker sends each report with the index of the item that it is at."""
        if not hasattr(self.config, "workerinput"):
            return
        for plugin in self.config.pluginmanager.get_plugins():
            if hasattr(plugin, "item_index") and hasattr(plugin, "nextitem_index"):
                plugin.item_index = index

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        output = getattr(self.config, "workeroutput", None)
        if output is not None:
            output["gradcheck_functions"] = [
                sorted(self.watched),
                self.trouble,
                dict(self.left_out),
            ]


class FunctionsNode(pytest.Collector):
    """The parent of the items; it is never collected."""

    def collect(self) -> list[pytest.Item]:
        return []


class FunctionItem(GradcheckItem):
    """One function at the inputs that a test gave it."""

    end = float("inf")

    def __init__(self, *, noted: Noted, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.noted = noted
        self.seed = int(options.value(self.config, "seed") or 0)

    def new_entry(self) -> Entry:
        met = self.noted.met
        at = Line.parse(met.defined)
        return Entry(
            nodeid=self.nodeid,
            file=at.file if at else met.module,
            line=at.line if at else None,
            case=f"{met.name} ({met.arguments})",
            check="gradient",
            subject=met.name,
            framework=self.noted.adapter.name,
            seed=self.seed,
        )

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        at = Line.parse(self.noted.met.defined)
        return (at.file if at else self.path), (at.line - 1 if at else None), self.name

    def runtest(self) -> None:
        left = self.end - time.monotonic()
        if left <= 0:
            raise skipped("the time for functions is spent (--gradcheck-functions-seconds)")
        started = time.perf_counter()
        try:
            with self.config.stash[KEY].running(self, None, apart=False), deadline(left):
                result = self.judge()
        except TimedOut:
            raise skipped("it takes longer than the time that is left for functions") from None
        except BaseException:
            self.keep(self.entry.but(outcome="error"))
            raise
        entry = self.entry.with_result(result).but(seconds=time.perf_counter() - started)
        self.keep(entry)
        if result.outcome == "skipped":
            raise skipped(result.reason or "")
        if result.outcome == "failed":
            text = self.text(result)
            self.keep(entry.but(text=text))
            raise CheckFailed(text, entry.headline)

    def judge(self) -> Result:
        from gradcheck.api.met import judge_met

        return judge_met(self.noted.met, self.noted.adapter, seed=self.seed)

    def text(self, result: Result) -> str:
        met, test = self.noted.met, self.noted.test
        package = met.module.partition(".")[0]
        said = result_text(
            dataclasses.replace(result, title=f"{met.module}.{met.name}"),
            verbose=self.config.option.verbose > 1,
        )
        return "\n".join(
            [
                said,
                f"  called with {met.arguments}",
                f"  re-run: pytest --gradcheck-functions={package} {quoted(test)}",
            ]
        )


class Told:
    """In the process that reports: sums up, and fails a run that saw nothing of a package."""

    def __init__(self, config: pytest.Config, packages: list[str]) -> None:
        self.config = config
        self.packages = packages
        self.watched: set[str] = set()
        self.trouble: list[str] = []
        self.left_out: Counter[str] = Counter()
        self.claims: str | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        if self.claims is None:
            self.claims = tempfile.mkdtemp(prefix="gradcheck-")
            self.config.add_cleanup(lambda: shutil.rmtree(str(self.claims), ignore_errors=True))
        node.workerinput["gradcheck_claims"] = self.claims

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: Any) -> None:
        output = getattr(node, "workeroutput", None) or {}
        watched, trouble, left_out = output.get("gradcheck_functions") or ([], [], {})
        self.take(watched, trouble, left_out)

    def take(self, watched: Any, trouble: Any, left_out: Any) -> None:
        self.watched.update(watched)
        self.trouble += [t for t in trouble if t not in self.trouble]
        self.left_out.update(left_out)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.config.option.collectonly:
            return
        watcher = self.config.pluginmanager.get_plugin(WATCHER)
        if watcher is not None:
            self.take(watcher.watched, watcher.trouble, watcher.left_out)
        for package in self.packages:
            if not any(package in t for t in self.trouble):
                self.trouble += self.unseen(package)
        if self.trouble and session.exitstatus in (pytest.ExitCode.OK, 0):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def unseen(self, package: str) -> list[str]:
        """A sentence where no function of a package was called by any test."""
        called = self.called()
        own = [n for n in sorted(self.watched) if n == package or n.startswith(f"{package}.")]
        if not own:
            return [
                f"--gradcheck-functions: {package} defines no function with a backward of its own "
                "(torch.autograd.Function, an op of tinytorch) that any test imported"
            ]
        if not any(n.rpartition(".")[2] in called for n in own):
            names = ", ".join(n.rpartition(".")[2] for n in own[:8])
            return [f"--gradcheck-functions: no test calls a function of {package}: {names}"]
        return []

    def called(self) -> set[str | None]:
        """The names of the functions that have an item."""
        reporter = self.config.pluginmanager.get_plugin("gradcheck-reporter")
        assert reporter is not None
        entries = [e for e in reporter.entries.values() if e.nodeid.startswith(f"{NODE}::")]
        return {e.subject for e in entries}

    def lines(self) -> list[str]:
        """For the summary: what went wrong, what no test called, what was not kept."""
        found = list(self.trouble)
        called = self.called()
        never = [n.rpartition(".")[2] for n in sorted(self.watched)]
        never = [n for n in never if n not in called]
        if never and not self.trouble:
            more = f" and {len(never) - 12} more" if len(never) > 12 else ""
            found.append(f"never called by a test: {', '.join(never[:12])}{more}")
        if self.left_out:
            total = sum(self.left_out.values())
            found.append(
                f"{total} more signatures were not kept (at most {SIGNATURES} of a function, "
                f"{LARGEST >> 20} MiB each, {MEMORY >> 20} MiB in all): "
                + ", ".join(n.rpartition(".")[2] for n in sorted(self.left_out))
            )
        return found

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        lines = self.lines()
        if lines:
            terminalreporter.ensure_newline()
            terminalreporter.section(NODE)
            for line in lines:
                terminalreporter.write_line(line, red=line in self.trouble)


WATCHER = "gradcheck-watcher"


def register(config: pytest.Config, packages: list[str]) -> None:
    """Register what this process needs: the watcher where tests run, the sum where it reports."""
    worker = hasattr(config, "workerinput")
    if worker or getattr(config.option, "dist", "no") == "no":
        config.pluginmanager.register(Watcher(config, packages), WATCHER)
    if not worker:
        config.pluginmanager.register(Told(config, packages), "gradcheck-functions")
