"""Build a model and check it: MODULE:FACTORY, such as my_package.models:make_net. Its inputs are
what `sample_inputs` of the module or the model gives, or they are guessed from the first layer. The
exit status is 1 if a check fails, 2 if the model cannot be built or called."""

from __future__ import annotations

import argparse
import importlib
import inspect
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradcheck.commands import Mistake
from gradcheck.phrases import one_line

if TYPE_CHECKING:
    from gradcheck.frameworks.protocol import Array, Framework


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="MODULE:FACTORY")
    parser.add_argument("--seed", type=int, default=0, help="of weights and inputs (default: 0)")


def run(arguments: argparse.Namespace) -> int:
    from gradcheck.api.probing import probe

    made, module, adapter = _made(arguments.target, arguments.seed)
    model, given = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    said, arrays = _inputs(model, given, module, adapter, arguments.seed)
    name = type(model).__name__
    print(f"{name} of {arguments.target}, {said}")
    failed = False
    for check, result in probe(model, arrays, adapter=adapter, seed=arguments.seed):
        failed = failed or result.outcome == "failed"
        print(result if result.outcome == "failed" else f"{check}: {_short(result)}")
    print(
        "not checked: updates and overfit need a loss and an optimizer "
        "(gradcheck.assert_trains takes them)"
    )
    return 1 if failed else 0


def _short(result: Any) -> str:
    more = result.reason or "; ".join(result.notes)
    return f"{result.outcome}{f' ({more})' if more else ''}"


def _made(target: str, seed: int) -> tuple[Any, Any, Framework]:
    """What the factory makes, its module, and the adapter of its framework."""
    from gradcheck.api.subjects import framework_of, is_model

    place, colon, name = target.partition(":")
    if not colon or not place or not name:
        raise Mistake(f"{target}: write MODULE:FACTORY, such as my_package.models:make_net")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(place.removesuffix(".py").replace("/", "."))
    except Exception as error:
        raise Mistake(
            f"{place} cannot be imported: {type(error).__name__}: {one_line(error)}"
        ) from None
    factory = module
    for part in name.split("."):
        if not hasattr(factory, part):
            raise Mistake(f"{place} has no {name!r}")
        factory = getattr(factory, part)
    framework = "pytorch" if "torch" in sys.modules else "tinytorch"
    adapter = framework_of(framework, None, ())
    adapter.manual_seed(seed)
    if inspect.isroutine(factory) or isinstance(factory, type):
        missing = _required(factory)
        if missing:
            raise Mistake(
                f"{target} needs {', '.join(missing)}; give it defaults, or name a function "
                "without arguments that makes the model"
            )
        try:
            made = factory()
        except Exception as error:
            raise Mistake(f"{target} raised {type(error).__name__}: {one_line(error)}") from None
    else:
        made = factory
    model = made[0] if isinstance(made, tuple) and made else made
    if not is_model(adapter, model):
        raise Mistake(f"{target} makes no model with parameters, but a {type(model).__name__}")
    return made, module, adapter


def _required(factory: Any) -> list[str]:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in kinds]


def _inputs(
    model: Any, given: Any, module: Any, adapter: Framework, seed: int
) -> tuple[str, list[Array]]:
    """(what they are, the arrays) of the first candidate with which the model runs."""
    from gradcheck.api.probing import runs_with

    tried: list[str] = []
    for said, arrays in _candidates(model, given, module, adapter, seed):
        problem = runs_with(model, arrays, adapter=adapter, seed=seed)
        if problem is None:
            return said, arrays
        tried.append(f"  {said}: {problem}")
    raise Mistake(
        "no inputs were found with which the model runs; put a function `sample_inputs` into "
        "the module of the model that returns them as a tuple"
        + "".join(f"\n{line}" for line in tried[:8])
    )


def _candidates(
    model: Any, given: Any, module: Any, adapter: Framework, seed: int
) -> Iterator[tuple[str, list[Array]]]:
    from gradcheck.api.arguments import array
    from gradcheck.frameworks.protocol import GuessesInputs

    for owner, what in ((model, "the model"), (module, "its module")):
        own = getattr(owner, "sample_inputs", None)
        if own is not None and given is None:
            given = own() if callable(own) else own
            said = f"inputs of {what}'s sample_inputs"
            yield said, [array(adapter, v, i, "probe") for i, v in enumerate(_row(given))]
            return
    if given is not None:
        arrays = [array(adapter, v, i, "probe") for i, v in enumerate(_row(given))]
        yield "inputs of the factory", arrays
        return
    if isinstance(adapter, GuessesInputs):
        yield from adapter.guess_inputs(model, seed)


def _row(given: Any) -> Sequence[Any]:
    return given if isinstance(given, (tuple, list)) else (given,)
