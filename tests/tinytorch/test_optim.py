"""Ten steps of every optimizer with every option, and every schedule, against PyTorch."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from tinytorch import Tensor, nn, optim
from tinytorch.optim import lr_scheduler
from tinytorch.optim.optimizer import CHUNK

torch = pytest.importorskip("torch")

OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.5, "maximize": True, "weight_decay": 0.1}),
    ("Adam", {}),
    ("Adam", {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-2}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.1, "betas": (0.9, 0.6), "amsgrad": True}),
    ("Adam", {"lr": 0.1, "maximize": True, "weight_decay": 0.1}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.3, "eps": 1e-2}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True, "betas": (0.9, 0.6)}),
    ("AdamW", {"lr": 0.1, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.1, "alpha": 0.7, "eps": 1e-2}),
    ("RMSprop", {"weight_decay": 0.1}),
    ("RMSprop", {"momentum": 0.9}),
    ("RMSprop", {"centered": True}),
    ("RMSprop", {"centered": True, "momentum": 0.9, "weight_decay": 0.1, "maximize": True}),
]
SHAPES = [(3, 4), (5,), (), (2, 3)]


def pair(seed: int = 0) -> tuple[list[Any], list[Any]]:
    """The same parameters in both; the third is a single number, the last has no plain layout."""
    rng = np.random.default_rng(seed)
    values = [np.array(rng.normal(size=s)) for s in SHAPES]
    ours = [nn.Parameter(v.copy()) for v in values[:3]]
    ours.append(nn.Parameter(np.asfortranarray(values[3])))
    return ours, [torch.nn.Parameter(torch.tensor(v)) for v in values]


def set_grads(ours: list[Any], theirs: list[Any], rng: np.random.Generator, skip: int = -1) -> None:
    for i, (p, q) in enumerate(zip(ours, theirs)):
        grad = np.array(rng.normal(size=p.shape))
        p.grad, q.grad = (None, None) if i == skip else (grad, torch.tensor(grad))


def assert_same(ours: list[Any], theirs: list[Any], rtol: float = 1e-11) -> None:
    for p, q in zip(ours, theirs):
        np.testing.assert_allclose(p._data, q.detach().numpy(), rtol, 1e-13)


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=str)
def test_ten_steps(name: str, options: dict[str, Any]) -> None:
    ours, theirs = pair()
    start = [p._data for p in ours]
    a, b = getattr(optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    rng = np.random.default_rng(2)
    for step in range(10):
        set_grads(ours, theirs, rng, skip=1 if step in (0, 4) else -1)
        grads = [None if p.grad is None else p.grad.copy() for p in ours]
        a.step()
        b.step()
        assert_same(ours, theirs)
        for p, before in zip(ours, grads):
            assert (p.grad is None) == (before is None)
            assert before is None or np.array_equal(p.grad, before)
    assert all(p._data is array for p, array in zip(ours, start))  # in place


def test_defaults_are_pytorchs() -> None:
    for name in ("SGD", "Adam", "AdamW", "RMSprop"):
        ours, theirs = pair()
        mine = getattr(optim, name)(ours).defaults
        wanted = getattr(torch.optim, name)(theirs).defaults
        assert mine == {k: wanted[k] for k in mine}
        assert getattr(optim, name)(ours, 0.5).defaults["lr"] == 0.5


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_large_parameters_are_moved_whole(name: str) -> None:
    size = 2 * CHUNK + 3
    rng = np.random.default_rng(0)
    value = rng.normal(size=size)
    options: dict[str, Any] = {"lr": 0.1, "weight_decay": 0.1}
    if name in ("SGD", "RMSprop"):
        options["momentum"] = 0.9
    p, q = nn.Parameter(value.copy()), torch.nn.Parameter(torch.tensor(value))
    a, b = getattr(optim, name)([p], **options), getattr(torch.optim, name)([q], **options)
    for _ in range(3):
        p.grad = rng.normal(size=size)
        q.grad = torch.tensor(p.grad)
        a.step()
        b.step()
    assert_same([p], [q])


def test_float32_stays_float32() -> None:
    for name in ("SGD", "Adam", "AdamW", "RMSprop"):
        p = nn.Parameter(np.ones(3, np.float32))
        optimizer = getattr(optim, name)([p], lr=np.float64(0.1))
        p.grad = np.ones(3, np.float32)
        optimizer.step()
        assert p.dtype == np.float32
        assert all(v.dtype == np.float32 for v in optimizer.state.get(p, {}).values() if np.ndim(v))


def test_groups() -> None:
    ours, theirs = pair()
    a, b = (
        module.SGD([{"params": ps[:2]}, {"params": ps[2:], "lr": 0.5, "momentum": 0.9}], lr=0.1)
        for module, ps in ((optim, ours), (torch.optim, theirs))
    )
    rng = np.random.default_rng(1)
    for _ in range(3):
        set_grads(ours, theirs, rng)
        a.step()
        b.step()
    assert_same(ours, theirs)
    assert [g["lr"] for g in a.param_groups] == [0.1, 0.5]
    extra = nn.Parameter(np.ones(2))
    a.add_param_group({"params": extra})
    extra.grad = np.ones(2)
    a.step()
    assert np.allclose(extra._data, 0.9)


def test_named_parameters_are_accepted() -> None:
    model = nn.Linear(2, 3)
    optimizer = optim.SGD(model.named_parameters(), lr=1.0)
    assert [id(p) for p in optimizer.param_groups[0]["params"]] == [
        id(p) for p in model.parameters()
    ]


def test_zero_grad_and_frozen() -> None:
    p, frozen = nn.Parameter(np.ones(2)), nn.Parameter(np.ones(2), requires_grad=False)
    optimizer = optim.AdamW([p, frozen], lr=0.1)
    (Tensor(np.ones(2)) * p * frozen).sum().backward()
    optimizer.step()
    assert np.array_equal(frozen._data, np.ones(2))
    assert not np.array_equal(p._data, np.ones(2))
    optimizer.zero_grad(set_to_none=False)
    assert np.array_equal(p.grad, np.zeros(2))
    optimizer.zero_grad()
    assert p.grad is None


def test_closure() -> None:
    p = nn.Parameter(np.array([3.0]))
    optimizer = optim.SGD([p], lr=0.25)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 9
    assert p._data == 1.5


@pytest.mark.parametrize(("name", "options"), OPTIONS[4:5] + OPTIONS[11:12] + OPTIONS[-1:], ids=str)
def test_state_dict_continues_where_it_was(name: str, options: dict[str, Any]) -> None:
    ours, _ = pair()
    twins, theirs = pair()
    a, b = getattr(optim, name)(ours, **options), getattr(optim, name)(twins)
    rng = np.random.default_rng(1)
    for _ in range(3):
        set_grads(ours, theirs, rng)
        a.step()
    state = a.state_dict()
    b.load_state_dict(state)
    for p, q in zip(ours, twins):
        q._data[...] = p._data
    for _ in range(3):
        set_grads(ours, theirs, rng)
        for p, q in zip(ours, twins):
            q.grad = p.grad
        a.step()
        b.step()
    for p, q in zip(ours, twins):
        assert np.array_equal(p._data, q._data)
    wanted = getattr(torch.optim, name)(theirs, **options).state_dict()["param_groups"][0]
    assert {k: wanted[k] for k in state["param_groups"][0]} == state["param_groups"][0]


def test_state_dict_refusals() -> None:
    ours, theirs = pair()
    a = optim.Adam(ours)
    set_grads(ours, theirs, np.random.default_rng(0))
    a.step()
    state = a.state_dict()
    with pytest.raises(optim.OptimizerError, match=r"groups of \[4\] parameters"):
        optim.Adam(ours[:2]).load_state_dict(state)
    others = [nn.Parameter(np.ones(2)) for _ in range(4)]
    with pytest.raises(optim.OptimizerError, match=r"'exp_avg' of parameter 0 has shape \(3, 4\)"):
        optim.Adam(others).load_state_dict(state)


def parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(np.ones(shape))


TWICE = parameter(2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.SGD([]), "empty list of parameters"),
        (lambda: optim.SGD(iter(())), "ModuleList"),
        (lambda: optim.SGD(parameter(2)), r"write \[tensor\]"),
        (lambda: optim.SGD([TWICE, TWICE]), r"parameter 1 of group 0 \(shape \(2,\)\) is listed"),
        (lambda: optim.SGD([{"params": [TWICE]}, {"params": [TWICE]}]), "of group 1 .* twice"),
        (lambda: optim.SGD([("emb.ids", Tensor([1, 2]))]), "'emb.ids' of group 0 holds int64"),
        (lambda: optim.SGD([np.ones(2)]), "must be a Tensor, got ndarray"),
        (lambda: optim.SGD([parameter(2) * 2]), "result of op mul, not a leaf"),
        (lambda: optim.SGD([{"params": [TWICE], "momentun": 1}]), "no option 'momentun'"),
        (lambda: optim.SGD([TWICE], lr=-1), "lr >= 0, got -1"),
        (lambda: optim.SGD([TWICE], nesterov=True), "momentum above 0"),
        (lambda: optim.Adam([TWICE], betas=(0.9, 1.0)), "two betas"),
        (lambda: optim.RMSprop([TWICE], alpha=-1), "alpha >= 0"),
        (lambda: optim.AdamW([TWICE], lr=float("nan")), "lr >= 0, got nan"),
    ],
)
def test_refusals(make: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_a_gradient_of_the_wrong_shape_moves_nothing() -> None:
    a, b = parameter(2), parameter(3)
    optimizer = optim.SGD([a, b], lr=1.0)
    a.grad, b.grad = np.ones(2), np.ones((1, 3))
    with pytest.raises(optim.OptimizerError, match=r"gradient of parameter 1 has shape \(1, 3\)"):
        optimizer.step()
    assert np.array_equal(a._data, np.ones(2))


# --- schedules ----------------------------------------------------------------------------------


def optimizers() -> tuple[Any, Any]:
    ours, theirs = pair()
    return tuple(
        module.SGD([{"params": ps[:2]}, {"params": ps[2:], "lr": 0.5}], lr=0.1)
        for module, ps in ((optim, ours), (torch.optim, theirs))
    )


SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("StepLR", {"step_size": 3}),
    ("StepLR", {"step_size": 1, "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [2, 5, 5, 9]}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("CosineAnnealingLR", {"T_max": 10}),
    ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}),
    ("CosineAnnealingLR", {"T_max": 1}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.1, "end_factor": 0.5, "total_iters": 8}),
    ("LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 4}),
    ("LambdaLR", {"lr_lambda": lambda t: 0.9**t}),
    ("LambdaLR", {"lr_lambda": [lambda t: 1 / (t + 1), lambda t: 0.5 * t]}),
]


def rates_agree(make: Any, steps: int = 40) -> None:
    a, b = optimizers()
    ours, theirs = make(lr_scheduler, a), make(torch.optim.lr_scheduler, b)
    for _ in range(steps):
        rates = [g["lr"] for g in a.param_groups]
        np.testing.assert_allclose(rates, [g["lr"] for g in b.param_groups], 1e-12, 1e-14)
        last = (ours[-1], theirs[-1]) if isinstance(ours, list) else (ours, theirs)
        np.testing.assert_allclose(last[0].get_last_lr(), last[1].get_last_lr(), 1e-12, 1e-14)
        b.step()  # PyTorch warns otherwise
        for s in ours if isinstance(ours, list) else [ours]:
            s.step()
        for s in theirs if isinstance(theirs, list) else [theirs]:
            s.step()


def no_address(value: Any) -> str:
    """The id of a parameter; a function's address would differ between processes."""
    return re.sub(r"<function .*? at 0x\w+>", "function", str(value))


@pytest.mark.parametrize(("name", "options"), SCHEDULES, ids=no_address)
def test_schedule(name: str, options: dict[str, Any]) -> None:
    rates_agree(lambda module, optimizer: getattr(module, name)(optimizer, **options))


def test_two_schedules_on_one_optimizer() -> None:
    rates_agree(
        lambda module, optimizer: [
            module.LinearLR(optimizer, 0.1, total_iters=6),
            module.StepLR(optimizer, 4, 0.5),
        ]
    )


@pytest.mark.filterwarnings("ignore:The epoch parameter")
def test_one_schedule_after_another() -> None:
    def make(module: Any, optimizer: Any) -> Any:
        parts = [
            module.LinearLR(optimizer, 0.1, total_iters=5),
            module.CosineAnnealingLR(optimizer, 20, 1e-3),
            module.ExponentialLR(optimizer, 0.9),
        ]
        return module.SequentialLR(optimizer, parts, [5, 25])

    rates_agree(make)


def test_warmup_cosine() -> None:
    optimizer = optim.SGD([parameter(2)], lr=2.0)
    schedule = lr_scheduler.WarmupCosineLR(optimizer, 4, 14, min_factor=0.1)
    rates = []
    for _ in range(20):
        rates += schedule.get_last_lr()
        schedule.step()
    assert np.allclose(rates[:5], [0.4, 0.8, 1.2, 1.6, 2.0])
    assert rates[9] == pytest.approx(2 * (0.1 + 0.9 * 0.5))  # half way down
    assert np.allclose(rates[14:], 0.2)
    assert bool((np.diff(rates[4:15]) < 0).all())


@pytest.mark.parametrize("name", ["StepLR", "CosineAnnealingLR", "SequentialLR"])
def test_a_schedule_resumes(name: str) -> None:
    def make() -> tuple[Any, Any]:
        optimizer = optim.SGD([parameter(2)], lr=2.0)
        if name == "SequentialLR":
            parts = [
                lr_scheduler.LinearLR(optimizer, 0.1, total_iters=3),
                lr_scheduler.CosineAnnealingLR(optimizer, 8),
            ]
            return optimizer, lr_scheduler.SequentialLR(optimizer, parts, [3])
        return optimizer, getattr(lr_scheduler, name)(optimizer, 4)

    (a, first), (b, second) = make(), make()
    for _ in range(5):
        first.step()
    b.load_state_dict(a.state_dict())
    second.load_state_dict(first.state_dict())
    for _ in range(6):
        assert first.get_last_lr() == second.get_last_lr()
        assert a.param_groups[0]["lr"] == b.param_groups[0]["lr"]
        first.step()
        second.step()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: lr_scheduler.StepLR(o, 0), "step_size"),
        (lambda o: lr_scheduler.CosineAnnealingLR(o, 0), "T_max"),
        (lambda o: lr_scheduler.LinearLR(o, 0.0), "start_factor above 0"),
        (lambda o: lr_scheduler.LinearLR(o, total_iters=0), "total_iters"),
        (lambda o: lr_scheduler.LambdaLR(o, [abs, abs]), "2 functions for 1"),
        (lambda o: lr_scheduler.WarmupCosineLR(o, 5, 5), "warmup_steps < total_steps"),
        (lambda o: lr_scheduler.SequentialLR(o, [], []), "one milestone fewer"),
        (lambda o: lr_scheduler.StepLR(3, 1), "takes an Optimizer, got int"),
    ],
)
def test_schedule_refusals(make: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make(optim.SGD([parameter(2)]))
