"""`python -m gradcheck train`: checks first, the run, resumption, interruption, what is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gradcheck.__main__ import main
from gradcheck.training.checkpoint import read

CASES = """
schema: 1
defaults:
  model: gpt
  args: {vocab: 45, context: 12, layers: 1, heads: 2, width: 16, dropout: 0.1}
  data: {name: stories, context: 12, batch: 4, stories: 60}
  loss: sequence_cross_entropy
  optimizer: {name: adamw, lr: 0.01}
cases:
  small:
    checks: [graph, alignment]
    train:
      steps: 12
      eval_every: 4
      eval_batches: 3
      clip: 1.0
      schedule: {name: cosine, warmup: 3, final: 0.1}
      sample: 20
  broken:
    step: rebuilds_tensor_from_data
    checks: [loader, graph]
    train: {steps: 2, eval_every: 2, sample: 0}
  diverging:
    optimizer: {name: sgd, lr: 1e30}
    checks: [alignment]
    train: {steps: 30, eval_every: 30, sample: 0}
  digits:
    model: mlp
    args: {sizes: [64, 16, 10]}
    data: {name: digits, batch: 32}
    loss: cross_entropy
    checks: [graph]
    train: {steps: 20, eval_every: 10}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GRADCHECK_DATA", raising=False)
    (tmp_path / "cases.yaml").write_text(CASES)
    return tmp_path


def train(case: str, *options: str) -> int:
    return main(["train", f"cases.yaml::{case}", *options])


def test_a_whole_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("small") == 0
    told = capsys.readouterr().out
    assert "graph              passed" in told
    assert "data: 60 generated stories, grammar seed 0" in told
    for step in (0, 4, 8, 12):
        assert f"step {step}/12" in told
    assert "validation loss" in told
    assert "tokens/s" in told
    assert "sample after 12 steps on 60 generated stories" in told
    sample = told.partition("grammar seed 0:\n")[2]
    assert len(sample.rstrip("\n").replace("<|endoftext|>", "|")) >= 15
    tensors, notes = read(folder / "runs/small/checkpoint.safetensors")
    assert notes["step"] == 12
    assert len(tensors["history.losses"]) == 12
    assert tensors["model.blocks.0.attn.qkv.weight"].shape == (48, 16)
    assert not list((folder / "runs/small").glob("*.part"))
    page = (folder / "runs/small/loss.html").read_text("utf-8")
    assert '"updates": 12' in page
    assert '"held_out": {"steps": [0, 4, 8, 12]' in page


def losses(path: Path) -> np.ndarray:
    return read(path)[0]["history.losses"]


def test_a_resumed_run_gives_the_same_numbers(folder: Path) -> None:
    whole, parts = folder / "whole", folder / "parts"
    assert train("small", "--output", str(whole), "--no-checks") == 0
    script = f"""
import sys
from gradcheck.__main__ import main
from gradcheck.training.trainer import Trainer
real = Trainer.run
def stop_at_6(self, *, after_step, **rest):
    return real(self, after_step=lambda t: after_step(t) or t.step == 6, **rest)
Trainer.run = stop_at_6
sys.exit(main(["train", "cases.yaml::small", "--no-checks", "--output", {str(parts)!r}]))
"""
    stopped = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert stopped.returncode == 130, stopped.stderr
    assert "stopped after 6 steps" in stopped.stdout
    assert len(losses(parts / "checkpoint.safetensors")) == 6
    assert train("small", "--output", str(parts), "--no-checks", "--resume") == 0
    one, two = (read(p / "checkpoint.safetensors") for p in (whole, parts))
    assert one[1]["evaluations"] == two[1]["evaluations"]
    assert one[0].keys() == two[0].keys()
    for name in one[0]:
        np.testing.assert_array_equal(one[0][name], two[0][name], err_msg=name)


def test_ctrl_c_saves_and_says_how_to_go_on(folder: Path) -> None:
    command = [sys.executable, "-u", "-m", "gradcheck", "train", "cases.yaml::small"]
    options = ["--no-checks", "--steps", "100000", "--eval-every", "5"]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("step 5/"):
                break
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(timeout=60) == 130
    assert "saved in runs/small/checkpoint.safetensors; to continue:" in rest
    again = next(line for line in rest.splitlines() if line.startswith("  python -m gradcheck"))
    assert again.split()[3:] == [
        "train",
        "cases.yaml::small",
        "--steps",
        "100000",
        "--eval-every",
        "5",
        "--resume",
    ]
    tensors, notes = read(folder / "runs/small/checkpoint.safetensors")
    assert len(tensors["history.losses"]) == notes["step"] >= 5


def test_a_red_check_forbids_training(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("broken") == 1
    told = capsys.readouterr().out
    assert "the graph is cut at" in told
    assert "not trained: 1 check failed" in told
    assert not (folder / "runs").exists()
    assert train("broken", "--force") == 0
    told = capsys.readouterr().out
    assert "because of --force" in told
    assert "step 2/2" in told


def test_divergence_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with np.errstate(all="ignore"):
        assert train("diverging") == 1
    assert "diverged: the loss is" in capsys.readouterr().out
    assert (folder / "runs/diverging/loss.html").exists()


def test_a_model_that_writes_no_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert train("digits") == 0
    told = capsys.readouterr().out
    assert "samples/s" in told
    assert "sample after" not in told
    assert "validation" not in told


def test_an_earlier_run_is_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert train("digits", "--steps", "2", "--no-checks") == 0
    assert "earlier run is now" in capsys.readouterr().out
    assert (folder / "runs/digits/checkpoint.previous.safetensors").exists()


def test_the_prompt_begins_the_sample(capsys: pytest.CaptureFixture[str]) -> None:
    assert train("small", "--no-checks", "--steps", "1", "--prompt", "Tom was") == 0
    assert "\nTom was" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("lr: 0.01", "lr: 0.02"), 'was trained with optimizer: {"name": "adamw", "lr": 0.01}'),
        (("width: 16", "width: 8"), "was trained with args"),
        (("clip: 1.0", "clip: 2.0"), "was trained with clip: 1.0, the case now says 2.0"),
    ],
)
def test_another_case_cannot_be_resumed(
    change: tuple[str, str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("small", "--no-checks") == 0
    (folder / "cases.yaml").write_text(CASES.replace(*change))
    assert train("small", "--no-checks", "--resume") == 2
    error = capsys.readouterr().err
    assert message in error
    assert "without --resume" in error


def test_mistakes_are_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def error(*arguments: str) -> str:
        assert main(["train", *arguments]) == 2
        return capsys.readouterr().err

    assert "file not found" in error("nowhere.yaml::x")
    assert "the file's cases of models: small, broken" in error("cases.yaml::smal")
    assert "name one case" in error("cases.yaml")
    assert "checkpoint runs/small/checkpoint.safetensors does not exist" in error(
        "cases.yaml::small", "--no-checks", "--resume"
    )
    checkpoint = folder / "runs/small/checkpoint.safetensors"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"damaged")
    assert "cannot be read" in error("cases.yaml::small", "--no-checks", "--resume")
    (folder / "cases.yaml").write_text(CASES.replace("vocab: 45", "vocab: 5"))
    assert "ids run from" in error("cases.yaml::small", "--no-checks", "--no-checkpoint")


def test_time_left_and_rate() -> None:
    from gradcheck.training.progress import duration

    assert [duration(s) for s in (0.4, 61, 3725)] == ["0:00", "1:01", "1:02:05"]


def test_json_notes_are_plain(folder: Path) -> None:
    assert train("digits", "--steps", "2", "--no-checks") == 0
    _, notes = read(folder / "runs/digits/checkpoint.safetensors")
    assert json.loads(json.dumps(notes)) == notes
