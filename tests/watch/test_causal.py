"""A language model whose mask lets the next token through is found in its own script."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.watch.watching import HERE

pytestmark = pytest.mark.slow
MASKS = {
    "tiny_gpt.py": ("np.float32), 1)", "np.float32), 2)"),  # off by one
    "torch_gpt.py": ("is_causal=True", "is_causal=False"),  # none
}


@pytest.mark.parametrize("script", MASKS)
def test_a_model_that_sees_what_it_predicts(script, tmp_path):
    if script == "torch_gpt.py":
        pytest.importorskip("torch")
    right, wrong = MASKS[script]
    text = (HERE / script).read_text()
    assert text.count(right) == 1
    for mask, rc in ((wrong, 1), (right, 0)):
        (tmp_path / "gpt.py").write_text(text.replace(right, mask))
        done = subprocess.run(
            [sys.executable, "-m", "gradcheck", "watch", "--checks", "data", "gpt.py"],
            cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == rc, done.stdout + done.stderr
        assert ("the model sees the tokens that it is to predict" in done.stdout) == (rc == 1)
