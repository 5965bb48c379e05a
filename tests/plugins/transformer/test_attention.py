"""The attention ops and rotary positions: PyTorch, closed forms, each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gradcheck.plugins.transformer.attention import attention
from gradcheck.plugins.transformer.packed import packed_attention
from gradcheck.plugins.transformer.rotary import rotary

from tinytorch import Tensor

RNG = np.random.default_rng(0)


def tensors(*shapes: tuple[int, ...]) -> list[Tensor]:
    return [Tensor(RNG.normal(size=s), requires_grad=True) for s in shapes]


@pytest.mark.parametrize(
    ("lead", "t", "s", "options"),
    [
        ((2, 3), 5, 5, {"is_causal": True}),
        ((2, 3), 4, 6, {}),
        ((2, 3), 4, 6, {"scale": 0.3}),
        ((), 4, 4, {"is_causal": True}),
        ((2, 1, 3), 1, 1, {"is_causal": True}),
    ],
)
def test_against_torch(lead: Any, t: int, s: int, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    q, k, v = tensors((*lead, t, 4), (*lead, s, 4), (*lead, s, 4))
    y = attention(q, k, v, **options)
    g = RNG.normal(size=y.shape)
    y.backward(g)
    theirs = [torch.tensor(x._data, requires_grad=True) for x in (q, k, v)]
    expected = torch.nn.functional.scaled_dot_product_attention(*theirs, **options)
    expected.backward(torch.tensor(g))
    np.testing.assert_allclose(y._data, expected.detach().numpy(), rtol=1e-12, atol=1e-14)
    for mine, other in zip((q, k, v), theirs):
        np.testing.assert_allclose(mine.grad, other.grad.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("boolean", [False, True])
def test_masks_against_torch(boolean: bool) -> None:
    torch = pytest.importorskip("torch")
    q, k, v = tensors((2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 2))
    values = RNG.normal(size=(2, 1, 5, 6))
    if boolean:
        values = values > 0
        values[..., 0] = True
    mask = Tensor(values, requires_grad=not boolean)
    y = attention(q, k, v, mask)
    g = RNG.normal(size=y.shape)
    y.backward(g)
    theirs = [torch.tensor(x._data, requires_grad=True) for x in (q, k, v)]
    their_mask = torch.tensor(values, requires_grad=not boolean)
    expected = torch.nn.functional.scaled_dot_product_attention(*theirs, attn_mask=their_mask)
    expected.backward(torch.tensor(g))
    np.testing.assert_allclose(y._data, expected.detach().numpy(), rtol=1e-12, atol=1e-14)
    for mine, other in zip((q, k, v), theirs):
        np.testing.assert_allclose(mine.grad, other.grad.numpy(), rtol=1e-12, atol=1e-14)
    if not boolean:
        np.testing.assert_allclose(mask.grad, their_mask.grad.numpy(), rtol=1e-12, atol=1e-14)


def test_padding_is_the_boolean_mask_of_its_keys() -> None:
    q, k, v = tensors((2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 4))
    padding = np.zeros((2, 6), bool)
    padding[1, 3:] = True
    by_padding = attention(q, k, v, None, padding)
    by_mask = attention(q, k, v, ~padding[:, None, None, :])
    np.testing.assert_array_equal(by_padding._data, by_mask._data)


def test_a_row_without_keys_is_zero_and_has_no_gradient() -> None:
    q, k, v = tensors((1, 1, 2, 4), (1, 1, 3, 4), (1, 1, 3, 4))
    mask = np.array([[False, False, False], [True, True, False]])
    y = attention(q, k, v, mask)
    y.backward(np.ones(y.shape))
    assert (y._data[0, 0, 0] == 0).all()
    assert (q.grad[0, 0, 0] == 0).all()
    assert all(np.isfinite(x.grad).all() for x in (q, k, v))


def test_large_scores_do_not_overflow() -> None:
    q, k, v = (x.float() for x in tensors((1, 1, 3, 4), (1, 1, 3, 4), (1, 1, 3, 4)))
    y = attention(q * 1e4, k * 1e4, v)
    assert np.isfinite(y._data).all()


def test_dropped_probabilities() -> None:
    q, k, v = tensors((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 4))
    kept = RNG.random((2, 2, 3, 5)) < 0.7
    y = attention(q, k, v, dropout_mask=kept, dropout_p=0.3)
    p = np.exp(q._data @ np.swapaxes(k._data, -1, -2) / 2)
    p /= p.sum(-1, keepdims=True)
    np.testing.assert_allclose(y._data, (p * kept / 0.7) @ v._data, rtol=1e-12)


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("lead", [(), (2,), (3, 2)])
def test_packed_is_attention(is_causal: bool, padded: bool, lead: tuple[int, ...]) -> None:
    h, t, d = 3, 5, 4
    values = RNG.normal(size=(*lead, t, 3 * h * d))
    g = RNG.normal(size=(*lead, t, h * d))
    padding = None
    if padded:
        padding = np.zeros((*lead[-1:], t), bool)
        padding[..., 3:] = True
    packed = Tensor(values, requires_grad=True)
    y = packed_attention(packed, padding, heads=h, is_causal=is_causal)
    y.backward(g)
    x = Tensor(values, requires_grad=True)
    parts = x.reshape(*lead, t, 3, h, d)
    q, k, v = (parts[..., i, :, :].transpose(-2, -3) for i in range(3))
    z = attention(q, k, v, None, padding, is_causal=is_causal)
    z.transpose(-2, -3).reshape(*lead, t, h * d).backward(g)
    np.testing.assert_allclose(y._data, z._data.swapaxes(-2, -3).reshape(g.shape), rtol=1e-12)
    np.testing.assert_allclose(packed.grad, x.grad, rtol=1e-12, atol=1e-14)


def test_packed_refuses_a_width_that_cannot_be_divided() -> None:
    with pytest.raises(ValueError, match="must be 3 x 4 heads"):
        packed_attention(Tensor(np.zeros((2, 5, 30))), heads=4)


@pytest.mark.parametrize("lead", [(), (7,)])
def test_extra_leading_axes_are_copies(lead: tuple[int, ...]) -> None:
    """What re-runs an op with many perturbed copies of one input at once relies on."""
    q, v = RNG.normal(size=(2, 5, 4)), RNG.normal(size=(2, 6, 3))
    several = RNG.normal(size=(*lead, 2, 6, 4))
    y, _ = attention.run([q, several, v, None, None, None], {})
    for i in np.ndindex(*lead):
        one, _ = attention.run([q, several[i], v, None, None, None], {})
        np.testing.assert_allclose(y[i], one, rtol=1e-13)


def test_complex_step_gives_the_derivative() -> None:
    q, k, v = (RNG.normal(size=(1, 2, 4, 4)) for _ in range(3))
    inputs = [q, k, v, None, None, None]
    y, pullback = attention.run(inputs, {"is_causal": True})
    g = RNG.normal(size=y.shape)
    gradient = pullback(g)[1]
    direction = RNG.normal(size=k.shape)
    stepped = [q, k + 1e-30j * direction, v, None, None, None]
    slope = (attention.run(stepped, {"is_causal": True})[0].imag / 1e-30 * g).sum()
    assert (gradient * direction).sum() == pytest.approx(slope, rel=1e-12)


def test_rotary_turns_pairs_by_their_position() -> None:
    x = RNG.normal(size=(2, 3, 6))
    positions = np.array([0, 1, 9])
    y = rotary(Tensor(x), positions)._data
    for p, position in enumerate(positions):
        for i in range(3):
            angle = position * 10000 ** (-2 * i / 6)
            pair = x[:, p, i] + 1j * x[:, p, i + 3]
            turned = pair * np.exp(1j * angle)
            np.testing.assert_allclose(y[:, p, i] + 1j * y[:, p, i + 3], turned, rtol=1e-12)


def test_rotary_scores_depend_on_the_distance_only() -> None:
    q, k = RNG.normal(size=(1, 8)), RNG.normal(size=(1, 8))

    def score(at: int, other: int) -> Any:
        turned = rotary(Tensor(q), np.array([at]))._data, rotary(Tensor(k), np.array([other]))._data
        return (turned[0] * turned[1]).sum()

    assert score(7, 3) == pytest.approx(score(104, 100), rel=1e-10)
    assert score(7, 3) != pytest.approx(score(8, 3), rel=1e-3)
