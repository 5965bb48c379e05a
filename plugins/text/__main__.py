"""`python -m gradcheck.plugins.text`: list the known text files, or fetch one into the cache."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .download import address, fetch
from .errors import DataError
from .files import KNOWN
from .locate import from_cache, from_directory


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m gradcheck.plugins.text", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the known files and where they were found")
    one = commands.add_parser("fetch", help="fetch a file into the cache, verified")
    one.add_argument("name", choices=sorted(KNOWN))
    one.add_argument("--base-url", help="a mirror: replaces all but the file's name")
    args = parser.parse_args(argv)
    try:
        return _fetch(args.name, args.base_url) if args.command == "fetch" else _list()
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _fetch(name: str, base_url: str | None) -> int:
    file = KNOWN[name]
    if from_cache(file) is None:
        print(f"fetching {file.size:,} bytes from {address(file, base_url)} ({file.licence})")
    print(f"{name}: {fetch(file, base_url=base_url)}")
    return 0


def _list() -> int:
    for file in KNOWN.values():
        found = from_directory(file) or from_cache(file)
        place = str(found.path) if found else "not here"
        print(f"{file.name:18} {file.size:>13,} bytes  {file.licence:17} {place}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
