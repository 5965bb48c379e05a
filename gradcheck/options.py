"""The table of settings that the command line, the ini keys and the docs are made from.

Precedence: command line > check > case > file defaults > ini > built-in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    import pytest


class Option(NamedTuple):
    """A setting. flag, ini: where it can be given, None where it cannot.

    kind: 'switch' (true or false), 'text', 'number', 'path', 'list' (of words or paths relative to
    pytest's rootdir; on the command line the flag is repeated).
    """

    name: str
    flag: str | None
    ini: str | None
    kind: Literal["switch", "text", "number", "path", "list"]
    default: Any
    help: str
    metavar: str | None = None


OPTIONS = (
    Option(
        "on",
        "--gradcheck",
        None,
        "switch",
        False,
        "Run gradient checks for the YAML cases in the given paths "
        "(default: the ini key gradcheck_paths)",
    ),
    Option(
        "paths",
        None,
        "gradcheck_paths",
        "list",
        ("cases",),
        "Files and folders of YAML cases that --gradcheck runs when no path is given",
    ),
    Option(
        "plugins",
        None,
        "gradcheck_plugins",
        "list",
        ("plugins",),
        "Folders whose name.py and name/__init__.py are loaded as gradcheck plugins",
    ),
    Option(
        "seed",
        "--gradcheck-seed",
        "gradcheck_seed",
        "number",
        0,
        "Seed of initial values, data order and dropout. The command line takes precedence over "
        "the case; the ini file is a default for cases that do not set it",
        "N",
    ),
    Option(
        "set",
        "--gradcheck-set",
        "gradcheck_set",
        "list",
        (),
        "Set an option of a check, for example overfit.steps=200. The command line takes "
        "precedence over the case; the ini file is a default for cases that do not set it",
        "CHECK.OPTION=VALUE",
    ),
    Option(
        "isolate",
        "--gradcheck-isolate",
        "gradcheck_isolate",
        "switch",
        False,
        "Run the checks in a child process: a crash of native code is a finding, and the run goes "
        "on. One process runs many checks; `isolate: true` of a case gives each its own",
    ),
    Option(
        "timeout",
        "--gradcheck-timeout",
        "gradcheck_timeout",
        "number",
        600,
        "Seconds that a check of a case without `timeout` may take; 0 for no limit",
        "SECONDS",
    ),
    Option(
        "json",
        "--gradcheck-json",
        "gradcheck_json",
        "path",
        None,
        "Write a JSON report, item by item: a run that is killed leaves a valid report of what it "
        "finished",
        "PATH",
    ),
    Option(
        "html",
        "--gradcheck-html",
        "gradcheck_html",
        "path",
        None,
        "Write the report as one self-contained page",
        "PATH",
    ),
    Option(
        "baseline",
        "--gradcheck-baseline",
        "gradcheck_baseline",
        "path",
        None,
        "Compare with an earlier JSON report and fail on what got worse",
        "FILE",
    ),
    Option(
        "resume",
        "--gradcheck-resume",
        None,
        "path",
        None,
        "Run only what an earlier JSON report lacks, or whose case or seed is another now; the "
        "other results are taken from there",
        "FILE",
    ),
    Option(
        "strict_plugins",
        "--gradcheck-strict-plugins",
        "gradcheck_strict_plugins",
        "switch",
        False,
        "Stop with an error when a plugin cannot be loaded, instead of failing only the cases that "
        "need it",
    ),
    Option(
        "functions",
        "--gradcheck-functions",
        None,
        "text",
        None,
        "Check every torch.autograd.Function (tinytorch op) of these packages at the inputs that "
        "the tests of this run give it",
        "PACKAGE[,PACKAGE]",
    ),
    Option(
        "functions_seconds",
        "--gradcheck-functions-seconds",
        None,
        "number",
        300,
        "Seconds for the functions of --gradcheck-functions in all; what is left then is skipped",
        "N",
    ),
    Option(
        "judge_all",
        "--gradcheck-judge-all",
        "gradcheck_judge_all",
        "switch",
        False,
        "Judge every check, also those whose failure another check of the case explains",
    ),
)

BY_NAME = {option.name: option for option in OPTIONS}


def dest(option: Option) -> str:
    """The attribute of `config.option` that holds the command line's value."""
    return f"gradcheck_{option.name}"


def help_text(option: Option) -> str:
    """The help of the command line and of the ini keys, which have no column for the default."""
    shown = " ".join(option.default) if option.kind == "list" else option.default
    if option.kind == "switch" or shown in (None, ""):
        return option.help
    return f"{option.help} (default: {shown})"


def add_options(parser: pytest.Parser) -> None:
    """Declare every row of the table to pytest."""
    group = parser.getgroup("gradcheck", "gradient checks of YAML cases")
    for option in OPTIONS:
        if option.flag is not None:
            how: dict[str, Any] = {"metavar": option.metavar, "default": None}
            if option.kind == "switch":
                how = {"action": "store_true", "default": None}
            elif option.kind == "number":
                how["type"] = int
            elif option.kind == "list":
                how["action"] = "append"
            group.addoption(option.flag, dest=dest(option), help=help_text(option), **how)
        if option.ini is not None:
            parser.addini(option.ini, help_text(option), type="args", default=None)


def from_command_line(config: pytest.Config, name: str) -> Any:
    """What the command line says, or None."""
    return config.getoption(dest(BY_NAME[name]), default=None)


def on_command_line(config: pytest.Config) -> list[str]:
    """The flags that the command line gives, in the order of the table."""
    return [
        o.flag
        for o in OPTIONS
        if o.flag is not None and from_command_line(config, o.name) is not None
    ]


def packages(config: pytest.Config) -> list[str]:
    """The import names that --gradcheck-functions gives."""
    given = str(from_command_line(config, "functions") or "")
    return [name for name in (part.strip() for part in given.split(",")) if name]


def wants_report(config: pytest.Config) -> bool:
    """Whether the command line asks for a report: of what tests with the fixture find, at least."""
    return any(from_command_line(config, name) is not None for name in ("json", "html", "baseline"))


def from_ini(config: pytest.Config, name: str) -> Any:
    """What the ini file says, or None. Raises pytest.UsageError for a value of the wrong kind."""
    option = BY_NAME[name]
    words: list[str] | None = None if option.ini is None else config.getini(option.ini)
    if not words:  # pytest 7 answers [] for a key that is absent, whatever its default
        return None
    if option.kind == "list":
        return words
    text = " ".join(str(word) for word in words)
    if option.kind == "switch":
        truth = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if text.lower() not in truth:
            raise wrong(option, text, "true or false")
        return truth[text.lower()]
    if option.kind == "number":
        try:
            return int(text)
        except ValueError:
            raise wrong(option, text, "a whole number") from None
    return text


def wrong(option: Option, text: str, wanted: str) -> Exception:
    import pytest

    return pytest.UsageError(f"ini key {option.ini} is {text!r}; it must be {wanted}")


def value(config: pytest.Config, name: str) -> Any:
    """The setting: command line, else ini, else built-in."""
    for found in (from_command_line(config, name), from_ini(config, name)):
        if found is not None:
            return found
    return BY_NAME[name].default


def table() -> str:
    """The settings as a Markdown table, for the docs."""
    rows = ["| command line | ini key | default | what it does |", "|---|---|---|---|"]
    for o in OPTIONS:
        flag = "" if o.flag is None else f"`{o.flag}{'=' + o.metavar if o.metavar else ''}`"
        ini = "" if o.ini is None else f"`{o.ini}`"
        default = "off" if o.kind == "switch" else o.default
        if o.kind == "list":
            default = " ".join(default)
        rows.append(
            f"| {flag} | {ini} | {f'`{default}`' if default not in (None, '') else ''} | {o.help} |"
        )
    return "\n".join(rows) + "\n"
