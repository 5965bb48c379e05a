"""What ships with gradcheck, contributed through the same hooks that any plugin uses.

The checks know no framework, so they are here; what belongs to the bundled framework is in
`builtin_tinytorch`, a plugin of its own that may fail to load without harm to the others.
"""

from __future__ import annotations

import importlib

from gradcheck import Register, hookimpl

gradcheck_api = 1

CHECKS = {
    "graph.check": "Graph",
    "gradient.check": "Gradient",
    "learning.overfit": "Overfit",
    "updates.check": "Updates",
    "model.init": "Init",
    "model.alignment": "Alignment",
    "model.loader": "LoaderCheck",
    "learning.multibatch": "MultiBatch",
    "model.causality": "Causality",
    "model.batch_independence": "BatchIndependence",
    "model.determinism": "Determinism",
    "learning.accumulation": "Accumulation",
    "model.reference": "Reference",
    "gradient.precision": "Precision",
}
"""Module in gradcheck.checks -> its class, in the order of the listing."""


@hookimpl
def gradcheck_register(register: Register) -> None:
    for module, cls in CHECKS.items():
        check = getattr(importlib.import_module(f"gradcheck.checks.{module}"), cls)()
        register.check(check.name, check)
