"""`python -m gradcheck probe`: a model is built, inputs are found, and what is wrong is said."""

from __future__ import annotations

import sys

import pytest

from gradcheck.__main__ import main

MODELS = """\
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, cut=False):
        super().__init__()
        self.words, self.head, self.cut = nn.Embedding(9, 4), nn.Linear(4, 3), cut

    def forward(self, ids, mask=None):
        h = self.words(ids)
        return {"logits": self.head(h.detach() if self.cut else h.tanh())}

def broken():
    return Net(cut=True)

def pair():
    return nn.Bilinear(2, 3, 4), (torch.ones(5, 2), torch.ones(5, 3))

def needs(width):
    return nn.Linear(width, 2)

def odd():
    return nn.Bilinear(2, 3, 4)
"""


@pytest.fixture
def models(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "probed_models", raising=False)
    (tmp_path / "probed_models.py").write_text(MODELS)


TARGETS = {
    "Net": (0, "ids (3, 8) below 9"),
    "pair": (0, "inputs of the factory"),
    "broken": (1, "the graph is cut at probed_models.py:11"),
}


@pytest.mark.parametrize("target", TARGETS)
def test_a_model_is_probed_with_inputs_that_are_found(models, capsys, target):
    status, said = TARGETS[target]
    assert main(["probe", f"probed_models:{target}"]) == status
    assert said in capsys.readouterr().out


MISTAKES = {
    "probed_models": "write MODULE:FACTORY",
    "nowhere:Net": "nowhere cannot be imported: ModuleNotFoundError",
    "probed_models:net": "probed_models has no 'net'",
    "probed_models:needs": "needs width; give it defaults",
    "probed_models:odd": "no inputs were found with which the model runs",
}


@pytest.mark.parametrize("target", MISTAKES)
def test_what_cannot_be_probed_is_told(models, capsys, target):
    assert main(["probe", target]) == 2
    assert MISTAKES[target] in capsys.readouterr().err
