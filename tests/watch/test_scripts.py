"""Twelve scripts as people write them: the healthy one is quiet, in the other the bug is named, on
its line. Nothing in their folder is written to (`watch` fails otherwise)."""

from __future__ import annotations

import pytest

from tests.watch.watching import line_of, watch

pytestmark = pytest.mark.slow

BUGS = {
    "mlp_digits.py": ("optimizer.step()", "gradients are never cleared"),
    "cnn.py": ("loss = F.cross_entropy(net(x), y)", "a softmax to values that have already"),
    "lstm.py": ("loss = criterion(", "the targets are shifted once too often: 2 ahead"),
    "vae.py": (
        "optimizer = torch.optim.Adam",
        "2 of 10 parameters of model get a gradient and",
    ),
    "gan.py": ("output = D(fake.detach())", "the graph is cut: 4 of 8 parameters get no gradient"),
    "dqn.py": ("q = torch.tensor(", "the graph is cut: 6 of 6 parameters get no gradient"),
    "finetune.py": ("optimizer = torch.optim.SGD", "2 of 8 parameters of model get a gradient and"),
    "accumulate.py": ("loss.backward()", "each step gets the sum of 4 gradients"),
    "trainer.py": ("self.optimizer = optim.SGD", "the learning rate 30 is too high"),
    "nano.py": ("return NormFunction.apply", "the pullback of op NormFunction is wrong"),
    "checkpoints.py": ("loss = nn.functional", "each of the first 6 batches holds a single class"),
    "hf_loop.py": ("return self.output(", "the graph is cut: 8 of 27 parameters get no gradient"),
}


@pytest.fixture(autouse=True)
def _needs_torch(request):
    script = request.node.callspec.params["script"]
    if script not in ("cnn.py", "trainer.py"):
        pytest.importorskip("torch")
    if script in ("mlp_digits.py", "vae.py", "finetune.py", "checkpoints.py"):
        pytest.importorskip("sklearn")


@pytest.mark.parametrize("script", BUGS)
def test_the_bug_is_named_on_its_line(script):
    text, message = BUGS[script]
    said = watch(script, "--bug")
    assert said.rc == 1, said.text + said.errors
    assert said.places[0].startswith(f"{script}:{line_of(script, text)}  "), said.text
    assert message in said.places[0], said.text


@pytest.mark.parametrize("script", BUGS)
def test_the_healthy_script_is_quiet(script):
    said = watch(script)
    assert said.rc == 0, said.text + said.errors
    assert f"{script}  nothing found; looked at " in said.text
