"""The post-mortem's script: a rate 33 times too low, and logits rebuilt as a new tensor. One run
finds both, in tinytorch and in PyTorch; either alone; the repaired script is quiet."""

import pytest

from tests.watch.watching import line_of, watch

pytestmark = pytest.mark.slow
SCRIPTS = {
    "tiny_gpt.py": ("logits_2d = Tensor(", "optimizer = optim.Adam"),
    "torch_gpt.py": ("logits_2d = logits.detach()", "optimizer = torch.optim.Adam"),
}


@pytest.fixture(params=SCRIPTS)
def script(request):
    if request.param == "torch_gpt.py":
        pytest.importorskip("torch")
    return request.param


def places(script):
    cut, rate = (line_of(script, text) for text in SCRIPTS[script])
    return f"{script}:{cut}", f"{script}:{rate}"


def test_one_run_finds_both(script):
    said = watch(script, "--cut")
    cut, rate = places(script)
    assert said.rc == 1, said.errors
    assert (
        f"{cut}  the graph is cut: 30 of 30 parameters get no gradient from the loss" in said.text
    )
    assert "fix: logits.reshape(-1, vocab)" in said.text
    assert f"{rate}  the learning rate 0.0003 is too low by about 30x" in said.text
    assert "(judged with the cut bridged)" in said.text
    assert "fix: lr=0.01" in said.text
    assert len(said.places) == 2


def test_the_cut_alone(script):
    said = watch(script, "--cut", "--lr", "0.01")
    assert said.rc == 1
    assert [line.split()[0] for line in said.places] == [places(script)[0]]


def test_the_rate_alone(script):
    said = watch(script)
    assert said.rc == 1
    assert [line.split()[0] for line in said.places] == [places(script)[1]]


def test_the_repaired_script_is_quiet(script):
    said = watch(script, "--lr", "0.01")
    assert said.rc == 0, said.text + said.errors
    assert "nothing found; looked at 6 steps, 30 parameters" in said.text
