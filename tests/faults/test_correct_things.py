"""What is right passes, however odd it looks: at kinks and ties, saturated, tiny, huge, constant."""

# ruff: noqa: E501

import warnings
from pathlib import Path

import pytest
from gradcheck.plugins import _faults

from gradcheck import hookimpl
from gradcheck.engine import run_check
from gradcheck.names import load as plugins
from gradcheck.planted import case_from
from tests.faults import correct_models, correct_ops, correct_training

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


class Correct:
    @hookimpl
    def gradcheck_register(self, register):
        for name, op in correct_ops.NAMED.items():
            register.op(name, op)
        for name, model in correct_models.MODELS.items():
            register.model(name, model)
        for name, dataset in correct_training.DATASETS.items():
            register.dataset(name, dataset)
        for name, train in correct_training.STEPS.items():
            register.step(name, correct_training.step, train=train)
        for name, optimizer in correct_training.OPTIMIZERS.items():
            register.optimizer(name, optimizer)


@pytest.fixture(scope="module")
def registry():
    return plugins.load([ROOT / "plugins"], objects=[("_faults", _faults), ("correct", Correct())])


def run(text, registry, seed=None):
    """name of the check -> result, of every check of the case."""
    case = case_from(text, registry)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return {n: run_check(case, n, registry, seed=seed) for n in case.checks}


def said(results):
    return [(name, f.code, f.message, f.lines) for name, r in results.items() for f in r.findings]


@pytest.mark.parametrize("name", correct_ops.CASES)
@pytest.mark.parametrize("seed", [0, 1])
def test_op(registry, name, seed):
    results = run(correct_ops.CASES[name] + "\nchecks: [gradient]", registry, seed)
    assert said(results) == []
    assert results["gradient"].outcome == "passed"


DIGITS = """
data: {name: digits, batch: 8}
loss: cross_entropy
"""
TEXT = """
data: {name: char_sequences, batch: 4, length: 6, samples: 64}
loss: sequence_cross_entropy
optimizer: {name: adam, lr: 0.01}
"""
MODEL_CHECKS = (
    "checks: {graph: {}, gradient: {}, updates: {}, init: {}, determinism: {}, "
    "batch_independence: {}, accumulation: {}, loader: {}, overfit: {}}"
)
NET = "model: correct_Net" + DIGITS

MODELS = {
    name: f"model: {name}{DIGITS}optimizer: {{name: adam, lr: 0.01}}\n{MODEL_CHECKS}"
    for name in correct_models.MODELS
    if name not in ("correct_Maskable", "correct_BatchNorm", "correct_ScaledByOwnSize")
} | {
    "batch_norm": f"model: correct_BatchNorm{DIGITS}optimizer: {{name: adam, lr: 0.01}}\n"
    + MODEL_CHECKS.replace("accumulation: {}", "accumulation: {enabled: false}"),
    "stop_gradient": f"model: correct_ScaledByOwnSize{DIGITS}optimizer: {{name: adam, lr: 0.01}}\n"
    + MODEL_CHECKS.replace("gradient: {}, ", "").replace("accumulation: {}, ", "").replace(
        "batch_independence: {}, ", ""
    ),
    "key_bias": "model: correct_Maskable\ndata: {name: correct_first_character, batch: 8}\n"
    f"loss: cross_entropy\noptimizer: {{name: adam, lr: 0.02}}\n{MODEL_CHECKS}",
    "dropout": "model: fault_residual\nargs: {dropout: 0.3, width: 24}" + DIGITS
    + f"optimizer: {{name: adam, lr: 0.01}}\n{MODEL_CHECKS}",
    "dropout_cnn": "model: cnn\nargs: {channels: 2}" + DIGITS
    + f"optimizer: {{name: adam, lr: 0.01}}\n{MODEL_CHECKS}",
    "odd_batch": f"model: correct_Net{DIGITS}optimizer: {{name: adam, lr: 0.01}}\n{MODEL_CHECKS}".replace(
        "batch: 8", "batch: 7"
    ),
    "batch_of_one": f"model: correct_Net{DIGITS}optimizer: {{name: adam, lr: 0.01}}\n{MODEL_CHECKS}".replace(
        "batch: 8", "batch: 1"
    ),
    "lstm": "model: char_lstm\nargs: {hidden: 6, embed: 4}" + TEXT
    + "checks: [graph, gradient, updates, init, alignment, causality, batch_independence, "
    "accumulation, determinism]",
    "attention": "model: fault_attention" + TEXT
    + "checks: [graph, gradient, updates, init, alignment, causality, batch_independence, "
    "accumulation, determinism]",
    "attention_dropping": "model: fault_attention\nargs: {dropout: 0.2, heads: 1}" + TEXT
    + "checks: [graph, gradient, updates, init, alignment, causality, batch_independence, "
    "accumulation, determinism]",
    "tied": "model: fault_tied" + TEXT
    + "checks: {graph: {}, gradient: {}, updates: {}, causality: {past: false}, determinism: {}}",
    "xor": "model: xor_net\ndata: {name: xor, batch: 4}\nloss: binary_cross_entropy_with_logits\n"
    "optimizer: {name: adam, lr: 0.05}\nchecks: [graph, gradient, updates, init, loader, "
    "determinism, accumulation]",
    "regression": "model: logistic\nargs: {features: 2, classes: 1}\ndata: {name: xor, batch: 4}\n"
    "loss: mse\noptimizer: {name: sgd, lr: 0.1}\nchecks: [graph, gradient, updates, init]",
    "absolute_error": "model: logistic\nargs: {features: 2, classes: 1}\ndata: {name: xor, batch: 4}\n"
    "loss: l1\noptimizer: {name: sgd, lr: 0.1}\nchecks: [graph, gradient, updates, init]",
    "smoothed_labels": "model: correct_Net\ndata: {name: digits, batch: 8}\n"
    "loss: {name: cross_entropy, label_smoothing: 0.1}\noptimizer: {name: adam, lr: 0.01}\n"
    "checks: [graph, gradient, updates, init]",
    "float64": f"model: correct_Net{DIGITS}optimizer: {{name: adam, lr: 0.01}}\ndtype: float64\n{MODEL_CHECKS}",
    "eval_mode_by_the_case": f"model: correct_BatchNorm{DIGITS}optimizer: {{name: adam, lr: 0.01}}\n"
    f"training: false\n{MODEL_CHECKS}",
}  # fmt: skip

OPTIMIZERS = {
    "sgd": "{name: sgd, lr: 0.1}",
    "sgd_momentum": "{name: sgd, lr: 0.1, momentum: 0.9}",
    "sgd_nesterov": "{name: sgd, lr: 0.1, momentum: 0.9, nesterov: true}",
    "sgd_dampened": "{name: sgd, lr: 0.1, momentum: 0.9, dampening: 0.5}",
    "sgd_decaying": "{name: sgd, lr: 0.1, weight_decay: 0.1}",
    "adam": "{name: adam, lr: 0.001}",
    "adam_decaying": "{name: adam, lr: 0.01, weight_decay: 0.1}",
    "adam_other_betas": "{name: adam, lr: 0.01, betas: [0.5, 0.9], eps: 1.0e-4}",
    "sgd_uphill": "{name: sgd, lr: 0.1, maximize: true}",
    "adam_amsgrad": "{name: adam, lr: 0.01, amsgrad: true}",
    "adamw": "{name: adamw, lr: 0.01}",
    "rmsprop": "{name: rmsprop, lr: 0.001}",
    "rmsprop_momentum": "{name: rmsprop, lr: 0.001, momentum: 0.9, alpha: 0.9}",
    "rmsprop_centered": "{name: rmsprop, lr: 0.001, centered: true}",
    **{name: f"{{name: {name}, lr: 0.01}}" for name in correct_training.OPTIMIZERS},
}

DATA = {
    "in_order": "{name: digits, batch: 8, shuffle: false}",
    "last_batch_smaller": "{name: fault_digits, batch: 16}",
    "augmented": "{name: correct_noisy, batch: 8}",
    "every_sample_twice": "{name: correct_repeats, batch: 8}",
    "one_input_many_labels": "{name: correct_uneven, batch: 8}",
    "one_batch_is_all": "{name: correct_repeats, batch: 40}",
}


@pytest.mark.parametrize("name", MODELS)
def test_model(registry, name):
    results = run(MODELS[name], registry)
    assert said(results) == []


@pytest.mark.parametrize("name", correct_training.STEPS)
def test_step(registry, name):
    text = NET + f"optimizer: {{name: sgd, lr: 0.1}}\nstep: {name}\n"
    checks = "[graph, updates, accumulation, determinism, overfit]"
    if "clipped" in name or "decayed" in name:
        checks = "[graph, updates, accumulation, determinism]"
    if name == "correct_clipped":
        checks = "[graph, updates, determinism]"
    if name in ("correct_every_second_call", "correct_with_a_penalty"):
        checks = "[graph, updates]"
    assert said(run(text + f"checks: {checks}", registry)) == []


def test_step_that_averages_its_weights(registry):
    text = NET.replace("correct_Net", "correct_Average")
    text += "optimizer: {name: adam, lr: 0.01}\nstep: correct_averaged_afterwards\n"
    assert said(run(text + "checks: [graph, updates, determinism]", registry)) == []


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(registry, name):
    text = NET + f"optimizer: {OPTIMIZERS[name]}\nchecks: [updates]"
    results = run(text, registry)
    assert said(results) == []
    assert results["updates"].outcome == "passed"


def test_optimizer_of_what_trains_only(registry):
    text = NET.replace("correct_Net", "correct_FrozenLayer")
    text += "optimizer: {name: correct_trainable_only, lr: 0.01}\nchecks: [graph, updates]"
    assert said(run(text, registry)) == []


@pytest.mark.parametrize("name", DATA)
def test_data(registry, name):
    text = NET.replace("{name: digits, batch: 8}", DATA[name])
    results = run(text + "optimizer: {name: sgd, lr: 0.1}\nchecks: [loader, determinism]", registry)
    assert said(results) == []
