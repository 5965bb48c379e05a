"""Scripts that exit, fail, never train, or train in unusual ways: each ends with a sentence."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow
HEAD = """\
import sys
import numpy as np
import tinytorch
from tinytorch import Tensor, nn, optim
from tinytorch.nn import functional as F
tinytorch.manual_seed(0)
rng = np.random.default_rng(0)
x = rng.standard_normal((90, 4)).astype("float32")
y = x[:, :3].argmax(1)
"""
ENDINGS = {
    "exits": ("sys.exit(2)", 2, "the script exited with status 2 without calling backward()"),
    "prints": ("print('usage: DATA')", 2, "the last thing that it printed is: usage: DATA"),
    "fails": (
        "nn.Linear(3, 1)(Tensor(x))",
        2,
        "s.py:10  the script fails by itself: ShapeError",
    ),
    "by hand": (
        "w = Tensor(np.zeros((4, 3)), requires_grad=True)\n"
        "for i in range(5):\n"
        "    F.cross_entropy(Tensor(x) @ w, y).backward()\n"
        "    w.data -= 0.1 * w.grad\n"
        "    w.grad = None\n",
        2,
        "the script ended after 5 calls of backward() and no step of an optimizer that can be",
    ),
    "loose tensors": (
        "W = Tensor(0.1 * rng.standard_normal((4, 3)), requires_grad=True)\n"
        "b = Tensor(np.zeros(3), requires_grad=True)\n"
        "opt = optim.SGD([W, b], lr=0.5)\n"
        "for i in range(100):\n"
        "    opt.zero_grad()\n"
        "    F.cross_entropy(Tensor(x) @ W + b, y).backward()\n"
        "    opt.step()\n",
        0,
        "nothing found; looked at 6 steps, 2 parameters",
    ),
    "fails later": (
        "net = nn.Linear(4, 3)\n"
        "opt = optim.SGD(net.parameters(), lr=0.5)\n"
        "for i in range(3):\n"
        "    opt.zero_grad()\n"
        "    F.cross_entropy(net(Tensor(x[:, : 4 - i // 2])), y).backward()\n"
        "    opt.step()\n",
        2,
        "s.py:14  the script fails by itself: ShapeError",
    ),
}


def run(folder, script, *arguments):
    (folder / "s.py").write_text(script)
    return subprocess.run(
        [sys.executable, "-m", "gradcheck", "watch", "s.py", *arguments],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("name", ENDINGS)
def test_an_ending_is_a_sentence(name, tmp_path):
    body, rc, sentence = ENDINGS[name]
    done = run(tmp_path, HEAD + body)
    assert done.returncode == rc, done.stdout + done.stderr
    assert sentence in done.stdout
    assert not done.stderr


def test_a_script_that_is_not_there(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "gradcheck", "watch", "nothere.py"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "gradcheck: nothere.py: file not found; name the script that trains\n"


LBFGS = """\
import torch
torch.manual_seed(0)
x = torch.randn(64, 3)
y = x @ torch.tensor([1.0, -2.0, 0.5]) + 0.1
lin = torch.nn.Linear(3, 1)
opt = torch.optim.LBFGS(lin.parameters(), lr=0.5)
for i in range(10):
    def closure():
        opt.zero_grad()
        loss = torch.nn.functional.mse_loss(lin(x).squeeze(-1), y)
        loss.backward()
        return loss
    opt.step(closure)
"""
AMP = """\
import torch
from torch import nn
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2))
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
scaler = torch.amp.GradScaler("cpu")
for i in range(300):
    x = torch.randn(32, 8)
    opt.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = nn.functional.cross_entropy(net(x), (x[:, 0] > 0).long())
    scaler.scale(loss).backward()
    scaler.step(opt)
    scaler.update()
"""


@pytest.mark.parametrize(("script", "note"), [(LBFGS, ""), (AMP, "note: the loss is scaled")])
def test_closures_and_mixed_precision_are_quiet(script, note, tmp_path):
    pytest.importorskip("torch")
    done = run(tmp_path, script)
    assert done.returncode == 0, done.stdout + done.stderr
    assert note in done.stdout
