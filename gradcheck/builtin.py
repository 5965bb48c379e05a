"""What ships with gradcheck, contributed through the same hooks that any plugin uses.

The checks know no framework, so they are here; what belongs to the bundled framework is in
`builtin_tinytorch`, a plugin of its own that may fail to load without harm to the others.
"""

from __future__ import annotations

import importlib
import importlib.util

from gradcheck import hookimpl
from gradcheck.hookspecs import Register

gradcheck_api = 1

CHECKS = {
    "graph": "Graph",
    "gradient": "Gradient",
    "overfit": "Overfit",
    "updates": "Updates",
    "init": "Init",
    "alignment": "Alignment",
    "loader": "LoaderCheck",
    "multibatch": "MultiBatch",
    "causality": "Causality",
    "batch_independence": "BatchIndependence",
    "determinism": "Determinism",
    "accumulation": "Accumulation",
    "reference": "Reference",
}
"""Module in gradcheck.checks -> its class, in the order of the listing."""


@hookimpl
def gradcheck_checks(register: Register) -> None:
    for module, cls in CHECKS.items():
        if importlib.util.find_spec(f"gradcheck.checks.{module}") is None:
            continue
        check = getattr(importlib.import_module(f"gradcheck.checks.{module}"), cls)()
        register(check.name, check)
