"""Correct programs of `benchmarks/programs`: functions of tinytorch and PyTorch, and solvers."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator

from programs.drawing import Draw, Program

from truth.opinfo import judged
from truth.rows import Row

DESERVED: dict[str, str] = {}
"""Programs that are red although torch passes: the finding is true."""


def rows(part: str, seeds: int, share: tuple[int, int]) -> Iterator[Row]:
    """part: 'programs' or 'solvers'. share: (k, n), every n-th program from the k-th on."""
    import torch
    from programs import solvers, tiny_functions, torch_functions

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    found = (
        [*solvers.programs()]
        if part == "solvers"
        else [*tiny_functions.programs(), *torch_functions.programs()]
    )
    for program in found[share[0] :: share[1]]:
        for seed in range(seeds):
            yield _row(program, seed)


def rows_of_models(seeds: int, share: tuple[int, int]) -> Iterator[Row]:
    """Models with their steps and optimizers, in the checks that apply to them."""
    import torch
    from programs import torch_models

    from gradcheck.testing import Kit

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    kit = Kit()
    kit.register(torch_models.Plugin(), "programs")
    for name, text in [*torch_models.cases()][share[0] :: share[1]]:
        for seed in range(seeds):
            start = time.perf_counter()
            try:
                results = kit.run_case(text, seed=seed)
                said = [f"{c}: {f.message}" for c, r in results.items() for f in r.findings]
                outcome = "failed" if said else "passed"
            except Exception as error:
                outcome, said = "raised", [f"{type(error).__name__}: {error}"]
            seconds = time.perf_counter() - start
            yield Row(f"model.{name} {seed}", outcome, "; ".join(said), seconds=seconds)


def _row(program: Program, seed: int) -> Row:
    arrays = program.inputs(Draw(seed))
    name = f"{program.of}.{program.name} {seed}"
    if program.of == "pytorch":
        import torch

        tensors = [torch.tensor(a) for a in arrays]
        leaves = [t.requires_grad_() if t.is_floating_point() else t for t in tensors]
        return judged(name, program.fn, leaves, seed=seed)
    import gradcheck

    start = time.perf_counter()
    try:
        result = gradcheck.check_gradients(program.fn, *arrays, seed=seed, framework="tinytorch")
        outcome, said = result.outcome, "; ".join(f.message for f in result.findings)
    except Exception as error:
        outcome, said = "raised", f"{type(error).__name__}: {error}"
    return Row(name, outcome, said, seconds=time.perf_counter() - start)
