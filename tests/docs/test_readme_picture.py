"""The failing run that README.md shows is what such a run prints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"

PLUGIN = '''"""A model of two layers with an activation of our own."""

from gradcheck import hookimpl
from tinytorch import Tensor, nn
from tinytorch import op


@op
def square(x):
    """x², elementwise."""
    return x * x, lambda g: g * x


class MyMLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(64, 32), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(square(self.fc1(x.flatten(1))))


@hookimpl
def gradcheck_register(register):
    register.model("my_mlp", MyMLP)
'''

CASES = """schema: 1
cases:
  mlp_digits:
    model: my_mlp
    data: {name: digits, batch: 32}
    loss: cross_entropy
    optimizer: {name: adam, lr: 0.01}
    checks:
      graph:
      gradient:
      overfit: {steps: 60, below: 0.1}
"""


def without_noise(text: str) -> list[str]:
    """How many error bars it is differs from machine to machine."""
    return re.sub(r"\([\d.e+]+ error bars\)", "(error bars)", text).splitlines()


def test_the_picture_is_real(tmp_path: Path) -> None:
    shown = re.search(r"```text\n(cases/mlp.yaml:3 .*?)```", README.read_text("utf-8"), re.DOTALL)
    assert shown is not None
    for name, text in (("plugins/my_mlp.py", PLUGIN), ("cases/mlp.yaml", CASES)):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--gradcheck", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    printed = without_noise(done.stdout)
    wanted = without_noise(shown[1])
    start = printed.index(wanted[0])
    assert printed[start : start + len(wanted)] == wanted
    assert re.search(r"gradient +1 failed", done.stdout)
    assert re.search(r"graph +1 passed", done.stdout)
    assert re.search(r"overfit +1 passed", done.stdout)
