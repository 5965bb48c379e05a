"""Training steps of one GPT here and in PyTorch eager: same weights, same batches, in turn.

    python benchmarks/train.py                 # the 0.8M model of the Shakespeare case
    python benchmarks/train.py --model 4.8M    # the reference GPT
    python benchmarks/train.py --curve         # also: both loss curves over 20 steps

Each contestant runs in a process of its own (their idle threads would spin against each other), one
after the other, several rounds; the ratio is the median of the rounds' ratios. PyTorch has two
threads; tinytorch splits the batch over two. Without PyTorch only tinytorch's figure is given.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np

MODELS: dict[str, dict[str, Any]] = {
    "0.8M": {
        "args": {"vocab": 65, "context": 64, "layers": 4, "heads": 4, "width": 128},
        "options": {"bias": False, "activation": "gelu_tanh"},
        "batch": 12,
    },
    "4.8M": {
        "args": {"vocab": 80, "context": 64, "layers": 6, "heads": 8, "width": 256},
        "options": {},
        "batch": 16,
    },
}
LEARNING_RATE = 1e-3
WARM_UP = 3
ROUNDS = 5


def weights(spec: dict[str, Any]) -> dict[str, Any]:
    """Name -> float32 array: the same for both."""
    from gradcheck.plugins.transformer.gpt import GPT

    import tinytorch

    tinytorch.manual_seed(0)
    model = GPT(**spec["args"], **spec["options"], init="gpt2")
    return {n: p.data for n, p in model.named_parameters()}


def batches(spec: dict[str, Any], count: int) -> Any:
    """(count, batch, context + 1) ids in arithmetic runs: there is something to learn."""
    rng = np.random.default_rng(0)
    shape = (count, spec["batch"], spec["args"]["context"] + 1)
    steps = rng.integers(1, 4, (count, spec["batch"], 1))
    starts = rng.integers(0, spec["args"]["vocab"], (count, spec["batch"], 1))
    return (starts + steps * np.arange(shape[-1])) % spec["args"]["vocab"]


def tinytorch_contestant(spec: dict[str, Any], count: int) -> dict[str, Any]:
    """Losses and seconds of `count` steps."""
    from gradcheck.plugins.transformer import threads
    from gradcheck.plugins.transformer.gpt import GPT

    import tinytorch
    from gradcheck.memory import keep_freed_memory
    from tinytorch import Tensor, optim
    from tinytorch.nn import functional as F

    keep_freed_memory()
    model = GPT(**spec["args"], **spec["options"], init="gpt2")
    own = dict(model.named_parameters())
    for name, array in weights(spec).items():
        own[name].data[...] = array
    optimizer = optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    vocab = spec["args"]["vocab"]

    def loss(logits: Any, targets: Any) -> Any:
        return F.cross_entropy(logits.reshape(-1, vocab), targets.reshape(-1))

    tinytorch.manual_seed(0)
    return _timed(
        batches(spec, count),
        lambda ids: threads.train(
            model, (Tensor(ids[:, :-1]), Tensor(ids[:, 1:])), loss, optimizer
        ).item(),
    )


def torch_contestant(spec: dict[str, Any], count: int) -> dict[str, Any]:
    """The same in PyTorch eager with two threads."""
    import torch
    from gradcheck.plugins.transformer.in_torch import GPT

    torch.set_num_threads(2)
    model = GPT(**spec["args"], **spec["options"])
    own = dict(model.named_parameters())
    with torch.no_grad():
        for name, array in weights(spec).items():
            own[name].copy_(torch.from_numpy(array))
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    vocab = spec["args"]["vocab"]

    def step(ids: Any) -> float:
        optimizer.zero_grad()
        ids = torch.from_numpy(ids)
        logits = model(ids[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, vocab), ids[:, 1:].reshape(-1))
        loss.backward()
        optimizer.step()
        return loss.item()

    return _timed(batches(spec, count), step)


def _timed(ids: Any, step: Any) -> dict[str, Any]:
    losses, seconds = [], []
    for each in ids:
        started = time.perf_counter()
        losses.append(float(step(each)))
        seconds.append(time.perf_counter() - started)
    return {"losses": losses, "seconds": statistics.median(seconds[WARM_UP:])}


CONTESTANTS = {"tinytorch": tinytorch_contestant, "torch": torch_contestant}


def in_a_process(name: str, model: str, count: int) -> dict[str, Any]:
    """Run one contestant by itself."""
    command = [sys.executable, __file__, "--model", model, "--steps", str(count), "--one", name]
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=list(MODELS), default="0.8M")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--curve", action="store_true", help="print the loss curves")
    parser.add_argument("--one", choices=list(CONTESTANTS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(CONTESTANTS[arguments.one](MODELS[arguments.model], arguments.steps)))
        return
    names = ["tinytorch"]
    try:
        import torch  # noqa: F401

        names.append("torch")
    except ImportError:
        print("PyTorch is not installed: nothing to compare with")
    rounds = [
        {name: in_a_process(name, arguments.model, arguments.steps) for name in names}
        for _ in range(arguments.rounds)
    ]
    for name in names:
        times = [r[name]["seconds"] * 1000 for r in rounds]
        print(f"{name:10} {statistics.median(times):7.1f} ms a step (best round {min(times):.1f})")
    if "torch" in names:
        ratios = [r["tinytorch"]["seconds"] / r["torch"]["seconds"] for r in rounds]
        print(
            f"ratio      {statistics.median(ratios):7.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )
        pairs = list(zip(*(rounds[0][name]["losses"][:20] for name in names), strict=True))
        worst = max(abs(a - b) for a, b in pairs)
        print(f"largest difference of the losses of the first {len(pairs)} steps: {worst:.1e}")
        if arguments.curve:
            for i, (a, b) in enumerate(pairs):
                print(f"{i:4} {a:.6f} {b:.6f}")


if __name__ == "__main__":
    main()
