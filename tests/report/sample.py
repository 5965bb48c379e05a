"""A report with one of everything, for the tests of the page."""

from __future__ import annotations

from typing import Any

from gradcheck.report.entry import Entry
from gradcheck.report.jsonfile import document
from gradcheck.result import Finding

CHECKS = ("graph", "gradient", "overfit", "updates")


def sample(count: int = 40) -> dict[str, Any]:
    """A JSON report of about `count` items; the first few failed and have every figure."""
    items = [cut(), wrong(), slow(), broken_file(), expected()]
    k = 0
    while len(items) < count:
        case, check = divmod(k, len(CHECKS))
        file = f"cases/file{case // 25}.yaml"
        name = f"{file}::case_{case}::{CHECKS[check]}"
        outcome = "skipped" if k % 17 == 3 else "passed"
        items.append(entry(name, outcome, measurements={"worst_relative_error": 3.2e-11}))
        k += 1
    return document(items)


def entry(nodeid: str, outcome: str, **values: Any) -> Entry:
    _, case, check = nodeid.split("::")
    return Entry.at(
        nodeid,
        line=14,
        case=case,
        check=check,
        subject="mlp",
        framework="tinytorch",
        outcome=outcome,
        seed=0,
        seconds=0.25,
        yaml=f"  {case}:\n    model: mlp\n    checks:\n      {check}:\n",
        **values,
    )


def finding(code: str, message: str, **values: Any) -> Finding:
    return Finding(code=code, message=message, **values)


def cut() -> Entry:
    names = ["token_embedding.weight", "blocks.0.attn.qkv.weight", "head.weight"]
    nodes = [{"id": n, "label": n, "kind": "parameter"} for n in names]
    nodes += [
        {"id": "l", "label": "linear model.py:88", "kind": "op"},
        {"id": "c", "label": "rebuilt train.py:41", "kind": "cut"},
        {"id": "e", "label": "cross_entropy", "kind": "op"},
        {"id": "loss", "label": "loss 4.38", "kind": "loss"},
    ]
    edges = [[n, "l"] for n in names] + [["l", "c"], ["c", "e"], ["e", "loss"]]
    text = (
        "cases/shakespeare.yaml:14  shakespeare_gpt::graph  FAILED\n"
        "  38 of 38 parameters get no gradient from the loss\n"
        "  the graph is cut at train.py:41   logits_2d = Tensor(logits.data.reshape(-1, vocab))\n"
        "     `logits` was made at model.py:88 by linear; upstream: token_embedding.weight, ...\n"
        "  use a Tensor operation instead: logits.reshape(-1, vocab)\n"
        '  re-run: pytest --gradcheck "cases/shakespeare.yaml::shakespeare_gpt::graph" '
        "--gradcheck-seed 0"
    )
    return entry(
        "cases/shakespeare.yaml::shakespeare_gpt::graph",
        "failed",
        text=text,
        findings=(finding("cut", "38 of 38 parameters get no gradient from the loss"),),
        figures={"graph": {"nodes": nodes, "edges": edges}},
        measurements={"parameters": 38, "with_gradient": 0, "loss": 4.382},
    )


def wrong() -> Entry:
    heat = [[10.0 ** -(11 - (i * j) % 9) for j in range(24)] for i in range(16)]
    heat[3][7] = 0.42
    heat[5][5] = 0.0
    heat[6][6] = "nan"
    return entry(
        "cases/mlp.yaml::mlp_digits::gradient",
        "failed",
        text="cases/mlp.yaml:14  mlp_digits::gradient  FAILED\n  <layers.0.weight> is wrong: "
        "1 of 384 entries </script>",
        findings=(
            finding("wrong_gradient", "1 of 384 entries", parameter="layers.0.weight", op="linear"),
        ),
        figures={
            "heatmap": {
                "layers.0.weight": {"shape": [16, 24], "relative_error": heat},
                "layers.0.bias": {"shape": [16], "relative_error": [[1e-11] * 16]},
            },
            "error_vs_step": {
                "h": [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6],
                "error": [1e-2, 1e-4, 1e-6, 1e-8, 3e-8, 4e-7],
            },
        },
        measurements={
            "worst_relative_error": 0.42,
            "tensors": {"layers.0.weight": {"error": 0.42, "entries": 384}},
        },
    )


def slow() -> Entry:
    steps = list(range(120))
    return entry(
        "cases/mlp.yaml::mlp_digits::overfit",
        "failed",
        text="cases/mlp.yaml:14  mlp_digits::overfit  FAILED\n  the loss fell from 2.31 to 2.28 in "
        "120 steps; the learning rate is too low by about 30x",
        findings=(finding("rate_too_low", "the learning rate is too low by about 30x"),),
        figures={
            "loss_curve": {"steps": steps, "loss": [2.31 - 0.0003 * s for s in steps]},
            "lr_sweep": {
                "lr": [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0],
                "final": [2.30, 2.28, 1.4, 0.02, 0.3, "inf"],
                "first": 2.31,
            },
        },
        measurements={"first_loss": 2.31, "last_loss": 2.28},
    )


def broken_file() -> Entry:
    said = "cases/bad.yaml:3:5: unknown key 'chekcs'; did you mean 'checks'?"
    return Entry.at(
        "cases/bad.yaml::case-file",
        outcome="error",
        line=3,
        text=said,
        findings=(finding("bad_case_file", said),),
    )


def expected() -> Entry:
    return entry(
        "cases/broken/cut.yaml::detached::graph",
        "xfailed",
        reason="finding cut",
        findings=(finding("cut", "2 of 2 parameters get no gradient from the loss"),),
    )
