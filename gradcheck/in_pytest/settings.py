"""Options of checks from the command line and the ini file: `overfit.steps=200`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from gradcheck import options

if TYPE_CHECKING:
    from gradcheck.names.registry import Registry

CheckOptions = dict[str, dict[str, Any]]
"""check -> option -> value"""


def parse(settings: Sequence[str] | None) -> CheckOptions:
    """['overfit.steps=200'] as {'overfit': {'steps': 200}}; values are JSON, else text.

    Raises pytest.UsageError for anything else.
    """
    found: CheckOptions = {}
    for setting in settings or ():
        name, equals, text = setting.partition("=")
        check, dot, option = name.partition(".")
        if not (equals and dot and check and option):
            raise pytest.UsageError(
                f"--gradcheck-set got {setting!r}; write CHECK.OPTION=VALUE, "
                "for example overfit.steps=200"
            )
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        found.setdefault(check, {})[option] = value
    return found


def reject_unknown(settings: CheckOptions, registry: Registry) -> None:
    """Raise pytest.UsageError for an unknown check or option, or an invalid value."""
    from pydantic import ValidationError

    from gradcheck.phrases import did_you_mean
    from gradcheck.yamlcases.wording import sentence

    for name, given in settings.items():
        if name not in registry.names("check"):
            raise pytest.UsageError(f"gradcheck_set: {registry.unknown('check', name)}")
        model = registry.get("check", name).value.Options
        for option in given:
            if option not in model.model_fields:
                known = ", ".join(model.model_fields) or "none"
                hint = did_you_mean(option, model.model_fields, f"it has: {known}")
                raise pytest.UsageError(
                    f"gradcheck_set: {name}.{option}: check {name} has no such option; {hint}"
                )
        try:
            model.model_validate(given)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise pytest.UsageError(f"gradcheck_set: {sentence(first, model, (name,))}") from None


def reject_values(config: pytest.Config) -> None:
    """Raise pytest.UsageError for a seed out of range or a plugin folder that does not exist."""
    for find in (options.from_command_line, options.from_ini):
        seed = find(config, "seed")
        if seed is not None and not 0 <= seed < 1 << 32:
            raise pytest.UsageError(
                f"the seed is {seed}; --gradcheck-seed and the ini key gradcheck_seed take a whole "
                "number from 0 to 4294967295"
            )
    for folder in options.from_ini(config, "plugins") or ():
        if not (config.rootpath / folder).is_dir():
            raise pytest.UsageError(
                f"the ini key gradcheck_plugins names {folder}, but {config.rootpath} has no such "
                "folder; create it or correct the key"
            )


def layered(below: Mapping[str, Any], above: Mapping[str, Any]) -> CheckOptions:
    """Merge both; the options of `above` take precedence."""
    names = [*below, *(name for name in above if name not in below)]
    return {name: {**below.get(name, {}), **above.get(name, {})} for name in names}
