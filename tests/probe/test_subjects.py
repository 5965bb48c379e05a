"""Subjects that no case describes: a function, and a model with a batch and a loss."""

import numpy as np
import pytest

from gradcheck.checks.graph.check import Graph
from gradcheck.frameworks.tinytorch import TinyTorch
from gradcheck.probe.from_case import CaseSubject
from gradcheck.probe.from_function import FunctionSubject
from gradcheck.probe.from_model import ModelSubject
from gradcheck.probe.subject import OptimizerSpec, SubjectError
from gradcheck.yamlcases.case import Case
from tests.support.nets import Net
from tests.support.numerics import registry
from tinytorch import optim
from tinytorch.nn import functional as F

BATCH = [np.ones((4, 8)), np.arange(4)]


def model_subject(net: Net, **given: object) -> ModelSubject:
    given = {
        "loss": F.cross_entropy,
        "optimizer": OptimizerSpec("sgd", optim.SGD, {"lr": 0.1}),
    } | given
    return ModelSubject(net, TinyTorch(), batch=BATCH, **given)


def test_a_function_is_an_op_and_has_neither_data_nor_optimizer():
    subject = FunctionSubject(
        lambda x: x.tanh(), TinyTorch(), arrays={"x": np.ones(3)}, name="my_tanh"
    )
    assert subject.is_op
    assert list(subject.leaves) == ["x"]
    assert not subject.has_data
    with pytest.raises(SubjectError, match="my_tanh has no data"):
        subject.loader()
    with pytest.raises(SubjectError, match="my_tanh has no optimizer"):
        subject.make_optimizer()
    with pytest.raises(SubjectError, match="cannot be built from another"):
        subject.counterpart(name=None, framework="pytorch", args=None)


def test_a_model_with_a_batch_a_loss_and_an_optimizer_trains_and_is_itself_untouched():
    net = Net()
    before = net.first.weight.numpy().copy()
    subject = model_subject(net)
    losses = [subject.train_step() for _ in range(5)]
    assert losses[-1] < losses[0]
    assert np.array_equal(net.first.weight.numpy(), before)
    assert subject.fresh().train_step() == losses[0]


def test_a_model_without_a_loss_says_so():
    with pytest.raises(SubjectError, match="model has no loss"):
        model_subject(Net(), loss=None).forward()


def test_a_model_stays_in_its_own_mode_unless_told():
    net = Net()
    net.eval()
    assert not model_subject(net).model.training
    assert model_subject(net, training=True).model.training


def test_a_check_runs_on_a_model_that_no_case_describes():
    options = Graph.Options()
    assert Graph().run(model_subject(Net()), options).outcome == "passed"
    subject = ModelSubject(
        Net(),
        TinyTorch(),
        batch=BATCH,
        step=lambda m, batch, loss: loss(m.second(m.first(batch[0]).detach()), batch[1]),
        loss=F.cross_entropy,
    )
    assert {f.code for f in Graph().run(subject, options).findings} == {"cut"}


def test_what_a_case_lacks_is_told_as_the_key_to_add():
    names = registry(model=("model", Net))
    subject = CaseSubject(Case(name="c", model="model"), names)
    with pytest.raises(SubjectError, match=r"case c has no data; add `data: \{name"):
        subject.loader()
    with pytest.raises(SubjectError, match="case c has no optimizer; add `optimizer:"):
        _ = subject.optimizer
