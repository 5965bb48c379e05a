"""`python -m gradcheck COMMAND`, also `gradcheck COMMAND`: what gradcheck does without pytest.

A command is a module in `gradcheck.commands` with `add_arguments(parser)` and
`run(arguments) -> int`, the exit status: 0 if all is well, 1 if something was found, 2 for a
mistake of the user. Only the module of the requested command is imported.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from gradcheck.commands import COMMANDS, Mistake
from gradcheck.phrases import did_you_mean


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status. A `Mistake` is printed as one line."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    listing = "\n".join(f"  {name:<12}{about}" for name, about in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m gradcheck",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Finds wrong gradients, cut graphs and training loops that cannot learn.",
        epilog=f"commands:\n{listing}\n\nRun python -m gradcheck COMMAND --help for more.",
        usage="%(prog)s COMMAND ...",
    )
    if not given or given[0] in ("-h", "--help"):
        parser.print_help()
        return 0 if given else 2
    if given[0] == "--version":
        print(f"gradcheck {version('pytest-gradcheck')}")
        return 0
    name = given[0]
    if name not in COMMANDS:
        hint = did_you_mean(name, COMMANDS, f"the commands are {', '.join(COMMANDS)}")
        print(f"gradcheck: unknown command {name!r}; {hint}", file=sys.stderr)
        return 2
    command = importlib.import_module(f"gradcheck.commands.{name}")
    own = argparse.ArgumentParser(prog=f"python -m gradcheck {name}", description=command.__doc__)
    command.add_arguments(own)
    try:
        return int(command.run(own.parse_args(given[1:])))
    except Mistake as mistake:
        print(f"gradcheck: {mistake}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.filename is None:
            raise
        print(f"gradcheck: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
