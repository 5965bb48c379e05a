"""One side of one exhibit, in a process of its own: python show.py NAME shipped|right SEED."""

from __future__ import annotations

import importlib
import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import torch

import gradcheck


def by_torch(fn: Any, inputs: Any) -> str:
    """What torch.autograd.gradcheck says with its own settings, and with a seed of its own."""
    given = [x.double().requires_grad_() if x.is_floating_point() else x for x in inputs]
    try:
        return "passed" if torch.autograd.gradcheck(fn, given, raise_exception=False) else "failed"
    except Exception as error:
        return f"raised {type(error).__name__}"


def main(name: str, side: str, seed: int) -> dict[str, Any]:
    sys.path.insert(0, str(Path(__file__).parent / "programs"))
    torch.manual_seed(seed)
    torch.set_default_dtype(torch.float64)
    program = importlib.import_module(name)
    fn, inputs = getattr(program, side)()
    torch.set_default_dtype(torch.float32)
    torch_says = by_torch(fn, inputs)
    torch.manual_seed(seed)
    start = time.perf_counter()
    result = gradcheck.check_gradients(fn, *inputs, seed=seed)
    return {
        "outcome": result.outcome,
        "seconds": round(time.perf_counter() - start, 2),
        "findings": [f.to_json() for f in result.findings],
        "torch": torch_says,
        "notes": list(result.notes),
    }


if __name__ == "__main__":
    try:
        print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
    except Exception:
        print(json.dumps({"outcome": "raised", "said": traceback.format_exc(limit=-3)}))
