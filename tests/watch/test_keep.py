"""The test that `--write-case` writes: in the right folder, and red while the bug is there."""

import subprocess
import sys

import pytest

from gradcheck.watch.keep import test_of as text_of_test
from gradcheck.watch.run import Wanted


def test_the_folder_is_found_from_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests" / "unit").mkdir(parents=True)
    wanted = Wanted("src/train-me.py", ("--name", 'a "b"'), checks=("graph",), steps=20)
    text = text_of_test(wanted, tmp_path / "tests" / "unit" / "test_train.py")
    assert "def test_train_me_trains():" in text
    assert (
        'assert_script("src/train-me.py", "--name", "a \\"b\\"", checks=["graph"], steps=20, '
        "folder=Path(__file__).parents[2])" in text
    )
    compile(text, "x", "exec")
    text = text_of_test(Wanted("train.py"), tmp_path / "test_train.py")
    assert 'assert_script("train.py", folder=Path(__file__).parent)' in text


SCRIPT = """\
import numpy as np
from tinytorch import Tensor, nn, optim
from tinytorch.nn import functional as F
x = np.random.default_rng(0).standard_normal((64, 4)).astype("float32")
net = nn.Linear(4, 3)
opt = optim.SGD(net.parameters(), lr=0.5)
for i in range(20):
    h = net(Tensor(x))
    h = Tensor(h.data, requires_grad=True)
    opt.zero_grad()
    F.cross_entropy(h, x[:, :3].argmax(1)).backward()
    opt.step()
"""


@pytest.mark.slow
def test_it_is_red_with_the_bug_and_green_without(tmp_path):
    (tmp_path / "train.py").write_text(SCRIPT)
    watch = [sys.executable, "-m", "gradcheck", "watch", "--checks", "graph"]
    watch += ["--write-case", "tests/test_train.py", "train.py"]
    done = subprocess.run(watch, cwd=tmp_path, capture_output=True, text=True)
    assert "wrote tests/test_train.py; run it:  pytest tests/test_train.py" in done.stdout
    assert subprocess.run(watch, cwd=tmp_path, capture_output=True).returncode == 2  # never over it
    test = [sys.executable, "-m", "pytest", "-q", "tests/test_train.py"]
    red = subprocess.run(test, cwd=tmp_path, capture_output=True, text=True)
    assert red.returncode == 1
    assert "train.py:9  the graph is cut: 2 of 2 parameters get no gradient" in red.stdout
    (tmp_path / "train.py").write_text(SCRIPT.replace("    h = Tensor(h.data", "    # "))
    green = subprocess.run(test, cwd=tmp_path, capture_output=True, text=True)
    assert green.returncode == 0, green.stdout
