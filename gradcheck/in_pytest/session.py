"""One run of gradient checks inside pytest: which files are collected, and with which names.

Registered only when the command line asks for gradient checks. The registry is built when the first
case file is collected: before that neither numpy, yaml, pydantic nor a plugin is imported.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from gradcheck import options
from gradcheck.in_pytest import scale
from gradcheck.in_pytest.base import KEY, GradcheckItem
from gradcheck.in_pytest.collect import CaseFileNode, PluginFileNode
from gradcheck.in_pytest.remembered import Remembered
from gradcheck.in_pytest.resumed import Resumed
from gradcheck.in_pytest.settings import layered, parse, reject_unknown, reject_values
from gradcheck.in_pytest.watch import Watch, copy_of_stderr
from gradcheck.report.live import Live, live_on_terminal
from gradcheck.yamlcases.detect import is_yaml, looks_like_cases

if TYPE_CHECKING:
    from gradcheck.in_pytest.items import CaseItem
    from gradcheck.isolation.isolation import Isolation
    from gradcheck.isolation.job import Setup
    from gradcheck.names.registry import Registry
    from gradcheck.yamlcases.case import Case

MANY = 1000
REMEMBERED = (
    "this case was running when an earlier run died, so its checks have a process of their own"
)


@dataclass(frozen=True)
class Apart:
    """A case runs in a child process. fresh: each of its checks in one of its own."""

    fresh: bool
    notes: tuple[str, ...] = ()


class Session:
    """What the collectors and items of one run share. on: whether --gradcheck was given."""

    def __init__(self, config: pytest.Config, *, on: bool) -> None:
        self.config = config
        self.on = on
        self.started_in = config.invocation_params.dir
        config.stash[KEY] = self
        self.case_paths = [config.rootpath / p for p in options.value(config, "paths")]
        self.plugin_folders = [config.rootpath / p for p in options.value(config, "plugins")]
        self.names_nodes = any("::" in str(argument) for argument in config.args)
        self.only_cases = on and config.args_source is not pytest.Config.ArgsSource.ARGS
        """--gradcheck without a path: the cases under gradcheck_paths and nothing else."""
        self.ini_seed = options.from_ini(config, "seed") or 0
        reject_values(config)
        self.below = parse(options.from_ini(config, "set"))
        self.above = parse(options.from_command_line(config, "set"))
        self.cases_alone = self.only_cases or all(self.is_case_path(a) for a in config.args)
        """Whether no unit test is collected: then the order is ours."""
        if self.cases_alone:
            scale.hand_out_singly(config)
        if self.only_cases:
            config.args = self.default_arguments()
        self.live: Live | None = None
        self._isolation: Isolation | None = None
        self._selected: dict[str, set[str]] = {}
        self.watch: Watch | None = None
        self.remembered = Remembered(config)
        self.resumed = Resumed(config)
        self.time_limit: float | None = options.value(config, "timeout") or None
        """Seconds for a check of a case without `timeout`."""
        self._registries: dict[tuple[int, ...], Registry] = {}
        self._conftests: dict[int, tuple[tuple[str, str], ...]] = {}

    def is_case_path(self, argument: str) -> bool:
        """Whether a command-line argument is a YAML file, or in the folders of cases."""
        path = Path(self.config.invocation_params.dir, argument.partition("::")[0])
        return is_yaml(path) or any(f == path or f in path.parents for f in self.case_paths)

    def default_arguments(self) -> list[str]:
        """Paths to collect when none is given. Raises pytest.UsageError when there is none."""
        existing = [p for p in self.case_paths if p.exists()]
        if not existing:
            wanted = ", ".join(str(p) for p in options.value(self.config, "paths"))
            raise pytest.UsageError(
                f"--gradcheck found no cases: {wanted} (ini key gradcheck_paths) does not exist "
                f"in {self.config.rootpath}; create it, or name a file or folder: "
                "pytest --gradcheck PATH"
            )
        plugins = [p for p in self.plugin_folders if p.is_dir()]
        return [str(p) for p in [*existing, *plugins]]

    # --- collecting -------------------------------------------------------------------------

    @pytest.hookimpl
    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        if not self.only_cases or collection_path.is_dir() or is_yaml(collection_path):
            return None
        if self.in_plugin_folder(collection_path) and not is_test(collection_path):
            return None
        return True

    @pytest.hookimpl
    def pytest_collect_file(
        self, file_path: Path, parent: pytest.Collector
    ) -> pytest.Collector | None:
        if is_yaml(file_path):
            if parent.session.isinitpath(file_path) or (self.on and self.has_cases(file_path)):
                return CaseFileNode.from_parent(parent, path=file_path)
        elif self.on and file_path.suffix == ".py" and self.in_plugin_folder(file_path):
            # Not below `parent`: pytest imports the __init__.py of a package before it runs what is
            # below it, and the plugin is already loaded under another name.
            return PluginFileNode.from_parent(parent.session, path=file_path)
        return None

    def has_cases(self, path: Path) -> bool:
        """Whether a YAML file that was only met in a folder is a file of cases.

        Below gradcheck_paths a file that cannot be recognised counts as one, so that its fault is
        reported.
        """
        own = any(folder == path or folder in path.parents for folder in self.case_paths)
        return looks_like_cases(path, in_doubt=own)

    def in_plugin_folder(self, path: Path) -> bool:
        return any(folder in path.parents for folder in self.plugin_folders)

    @pytest.hookimpl
    def pytest_sessionstart(self) -> None:
        """Here, where stderr is not captured."""
        if not hasattr(self.config, "workerinput"):
            self.live = live_on_terminal()
        if self.config.option.collectonly:
            return
        timer_is_free = not float(self.config.getini("faulthandler_timeout") or 0)
        self.watch = Watch(copy_of_stderr(), self.is_stuck, timer=timer_is_free)
        if not getattr(self.config.option, "numprocesses", None):  # else the workers run the items
            self.remembered.open()

    @pytest.hookimpl
    def pytest_unconfigure(self) -> None:
        if self.watch is not None:
            self.watch.close()
        if self._isolation is not None:
            self._isolation.close()
        self.remembered.close()

    @contextmanager
    def running(self, item: GradcheckItem, limit: float | None, *, apart: bool) -> Iterator[None]:
        """Around the work of an item: signs of life, and the end of what cannot be stopped.

        apart: it runs in a child process, which keeps the limit itself.
        """
        assert self.watch is not None
        live = nullcontext() if self.live is None else self.live.running(item.nodeid)
        if not apart:
            self.remembered.begins(item.nodeid)
        try:
            with live, self.watch.item(item, None if apart else limit):
                yield
        finally:
            self.remembered.ended()

    def is_stuck(self, item: CaseItem, limit: float, where: str | None) -> None:
        """Keep what is known about an item that ends this process."""
        reporter = self.config.pluginmanager.get_plugin("gradcheck-reporter")
        if reporter is not None:
            reporter.receive(item.stuck_entry(limit, where))

    # --- child processes ----------------------------------------------------------------------

    def isolates(self, case: Case) -> Apart | None:
        """How a case runs in a child process; None where it runs here."""
        if case.isolate:
            return Apart(fresh=True)
        if case.id in self.remembered.cases:
            return Apart(fresh=True, notes=(REMEMBERED,))
        return Apart(fresh=False) if options.value(self.config, "isolate") else None

    def setup_of(self, registry: Registry) -> Setup:
        """How a child process makes the same registry."""
        from gradcheck.isolation.job import Setup

        return Setup(
            path=tuple(sys.path),
            plugin_folders=tuple(self.plugin_folders),
            conftests=self._conftests.get(id(registry), ()),
            threads=scale.thread_share(self.config),
        )

    def isolation(self) -> Isolation:
        """The child process. A method: older versions of pytest read every property of a plugin."""
        from gradcheck.isolation.isolation import Isolation

        if self._isolation is None:
            self._isolation = Isolation()
        return self._isolation

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        """Ten thousand items are not garbage: looking for some among them takes half the time."""
        was_on = gc.isenabled()
        gc.disable()
        try:
            return (yield)
        finally:
            if session.testscollected > MANY:
                gc.freeze()  # they stay until the end: leave them out of every later search
            if was_on:
                gc.enable()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        if isinstance(item, GradcheckItem):
            item.start_entry()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, items: list[pytest.Item]
    ) -> Generator[None, object, object]:
        if not hasattr(self.config, "workerinput"):  # there the controller did it
            for registry in self._registries.values():
                self.reject_unknown_settings(registry)
        for order, item in enumerate(items):
            if isinstance(item, GradcheckItem):
                item.order = order
        workers = scale.worker_count(self.config)
        if workers and self.cases_alone:
            durations = self.config.workerinput.get("gradcheck_durations", {})  # type: ignore[attr-defined]
            costs = [
                item.cost(durations.get(item.nodeid)) if isinstance(item, GradcheckItem) else 0.0
                for item in items
            ]
            items[:] = scale.deal(items, costs, workers)
        result = yield
        self.resumed.leave_out(self.config, items)  # of what -k and -m have left
        return result

    @pytest.hookimpl
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note the checks of each case that are run, here or by another worker: all workers have
        the same items."""
        for item in session.items:
            if isinstance(item, GradcheckItem):
                case, _, check = item.nodeid.rpartition("::")
                self._selected.setdefault(case, set()).add(check)

    def reported_beside(self, item: pytest.Item) -> set[str]:
        """The checks of the same case that report for themselves in this run; none where all are
        to be judged."""
        if options.value(self.config, "judge_all"):
            return set()
        case, _, check = item.nodeid.rpartition("::")
        return self._selected.get(case, set()) - {check}

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """xdist: every worker must order by the same figures."""
        node.workerinput["gradcheck_durations"] = scale.read_durations(self.config)
        node.workerinput["gradcheck_resumed"] = self.resumed.known()
        node.workerinput["gradcheck_died"] = sorted(self.remembered.cases)

    @pytest.hookimpl
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output = getattr(self.config, "workeroutput", None)
        if output is not None:
            output["gradcheck_plugin_failures"] = self.failures
            output["gradcheck_kept"] = {n: e.order for n, e in self.resumed.kept.items()}

    # --- names ------------------------------------------------------------------------------

    def registry_for(self, collector: pytest.Collector) -> Registry:
        """The registry for the cases of a file: all plugins and the conftest files above it."""
        hook = collector.ihook.pytest_gradcheck_configure
        key = tuple(sorted(id(impl.plugin) for impl in hook.get_hookimpls()))
        if key not in self._registries:
            registry = self.load_plugins()
            if key:
                self.ask_conftests(hook, registry)
                modules = [impl.plugin for impl in reversed(hook.get_hookimpls())]
                self._conftests[id(registry)] = tuple(
                    (m.__name__, str(m.__file__)) for m in modules if isinstance(m, ModuleType)
                )
            scale.cap_threads(self.config)
            self._registries[key] = registry
        return self._registries[key]

    def ask_conftests(self, hook: Any, registry: Registry) -> None:
        """The third door: names that conftest files contribute for the cases below them."""
        from gradcheck.names.register import Register
        from gradcheck.source.where import where_raised

        try:
            hook(config=self.config, register=Register(registry, "conftest"))
        except Exception as error:
            files = [getattr(impl.plugin, "__file__", None) for impl in hook.get_hookimpls()]
            places = [where_raised(error, file) for file in files]
            # The file that the error came through has another line than its first.
            place = next((p for p in places if not p.endswith(":1")), places[0])
            registry.fail(
                "conftest",
                place,
                f"pytest_gradcheck_configure raised {type(error).__name__}: {error}; "
                "fix this line; what it registered before is kept",
            )

    def load_plugins(self) -> Registry:
        from gradcheck.names.load import load

        return load(self.plugin_folders, root=self.config.rootpath)

    def load_plugins_strictly(self) -> None:
        """Under --gradcheck-strict-plugins, once and before anything is collected."""
        from gradcheck.names.load import PluginError, load

        try:
            load(self.plugin_folders, strict=True, root=self.config.rootpath)
        except PluginError as error:
            raise pytest.UsageError(f"--gradcheck-strict-plugins: {error}") from None

    @property
    def failures(self) -> list[str]:
        """Sentences about plugins that could not be loaded."""
        found = [f for registry in self._registries.values() for f in registry.failures]
        return list(dict.fromkeys(found))

    # --- settings ---------------------------------------------------------------------------

    def seed_of(self, case: Case) -> int:
        """Command line > case (or its file's defaults) > ini > built-in."""
        given = options.from_command_line(self.config, "seed")
        if given is not None:
            return int(given)
        return case.seed if "seed" in case.model_fields_set else self.ini_seed

    def reject_unknown_settings(self, registry: Registry | None = None) -> None:
        """In a serial run when all is collected; with xdist before the workers start, since no
        usage error can come from there (so it knows no checks of conftest files)."""
        settings = layered(self.below, self.above)
        if settings:
            reject_unknown(settings, registry or self.load_plugins())

    def with_settings(self, case: Case) -> Case:
        """The case with the check options that the ini file and the command line set."""
        if not self.below and not self.above:
            return case
        checks = {
            name: {**self.below.get(name, {}), **given, **self.above.get(name, {})}
            for name, given in case.checks.items()
        }
        return case.model_copy(update={"checks": checks})

    def rerun_path(self, path: Path) -> str:
        """`path` as one would type it in the folder where pytest was started."""
        try:
            return Path(os.path.relpath(path, self.started_in)).as_posix()
        except ValueError:  # another drive
            return str(path)


def is_test(path: Path) -> bool:
    """Whether pytest's default would take the file for a test module."""
    return path.stem.startswith("test_") or path.stem.endswith("_test")
