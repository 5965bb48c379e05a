"""RNN, LSTM and GRU over whole sequences: PyTorch's formulas, layouts and parameter names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tinytorch.nn import functional as F
from tinytorch.nn import init
from tinytorch.nn.linear import empty_parameter
from tinytorch.nn.module import Module
from tinytorch.ops import cat, stack
from tinytorch.tensor import Tensor

State = tuple[Tensor, ...]
"""What a step hands to the next, each (B, H): (h,), or (h, c) of an LSTM."""


class _Recurrent(Module):
    """Layers of one cell, run along the time axis.

    Parameters of layer k, G gates stacked: weight_ih_l{k} (G H, in), weight_hh_l{k} (G H, H),
    bias_ih_l{k} and bias_hh_l{k} (G H,); those of the other direction end in `_reverse`. All start
    uniform within ±1 / √H. Layers after the first take the H outputs below (2 H if bidirectional).
    """

    gates: int
    states = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        if min(input_size, hidden_size, num_layers) < 1:
            raise ValueError(
                f"{type(self).__name__} needs positive input_size, hidden_size and num_layers, got "
                f"{input_size}, {hidden_size}, {num_layers}"
            )
        if not 0 <= dropout <= 1:
            raise ValueError(f"dropout must be a probability from 0 to 1, got {dropout}")
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = dropout
        self.bidirectional = bidirectional
        rows = self.gates * hidden_size
        for name in self._passes():
            first = name in ("l0", "l0_reverse")
            below = input_size if first else hidden_size * (2 if bidirectional else 1)
            setattr(self, f"weight_ih_{name}", empty_parameter(rows, below, dtype=dtype))
            setattr(self, f"weight_hh_{name}", empty_parameter(rows, hidden_size, dtype=dtype))
            if bias:
                setattr(self, f"bias_ih_{name}", empty_parameter(rows, dtype=dtype))
                setattr(self, f"bias_hh_{name}", empty_parameter(rows, dtype=dtype))
        self.reset_parameters()

    def _passes(self) -> list[str]:
        """The suffixes of the parameters, in the order of PyTorch's states."""
        ends = ("", "_reverse") if self.bidirectional else ("",)
        return [f"l{k}{end}" for k in range(self.num_layers) for end in ends]

    def reset_parameters(self) -> None:
        bound = 1 / math.sqrt(self.hidden_size)
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def step(self, x: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
        """One time step. x (B, G H): the input times weight_ih plus bias_ih."""
        raise NotImplementedError

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """(outputs of the last layer at each time, last state of each layer and direction).

        input: (T, B, in), (B, T, in) with batch_first, or (T, in) without a batch. hx: the initial
        state (layers * directions, B, H), zeros by default; of an LSTM the pair (h, c).
        """
        batched = input.ndim == 3
        if input.ndim not in (2, 3) or input.shape[-1] != self.input_size:
            layout = "(B, T, in)" if self.batch_first else "(T, B, in)"
            raise ValueError(
                f"{type(self).__name__} needs an input {layout} or (T, in) with in = "
                f"{self.input_size}, got shape {input.shape}"
            )
        x = input if batched else input.unsqueeze(1)
        if batched and self.batch_first:
            x = x.transpose(0, 1)  # (T, B, in)
        if x.shape[0] == 0:
            raise ValueError(
                f"{type(self).__name__} got a sequence of no time steps: {input.shape}"
            )
        initial = self._initial(x, hx, batched)

        last: list[State] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = F.dropout(x, self.dropout, self.training)
            directions = []
            for reverse in (False, True) if self.bidirectional else (False,):
                name = f"l{layer}_reverse" if reverse else f"l{layer}"
                outputs, state = self._run(name, x, [part[len(last)] for part in initial], reverse)
                directions.append(outputs)
                last.append(state)
            x = cat(directions, dim=-1) if self.bidirectional else directions[0]  # (T, B, D H)

        finals = [stack(parts) for parts in zip(*last)]  # each (L D, B, H)
        if not batched:
            x, finals = x.squeeze(1), [f.squeeze(1) for f in finals]
        elif self.batch_first:
            x = x.transpose(0, 1)
        return x, (tuple(finals) if self.states > 1 else finals[0])

    def _run(
        self, name: str, x: Tensor, state: Sequence[Tensor], reverse: bool
    ) -> tuple[Tensor, State]:
        """x (T, B, in) -> outputs (T, B, H) and the last state, in one direction."""
        weight, bias = getattr(self, f"weight_hh_{name}"), getattr(self, f"bias_hh_{name}", None)
        # One product for all time steps; only the part that depends on h is left to the loop.
        projected = F.linear(
            x, getattr(self, f"weight_ih_{name}"), getattr(self, f"bias_ih_{name}", None)
        )
        now = tuple(state)
        outputs: list[Tensor] = []
        times = range(x.shape[0])
        for t in reversed(times) if reverse else times:
            now = self.step(projected[t], now, weight, bias)
            outputs.append(now[0])
        return stack(outputs[::-1] if reverse else outputs), now

    def _initial(self, x: Tensor, hx: Any, batched: bool) -> list[Tensor]:
        """The initial states, each (L D, B, H)."""
        want = (len(self._passes()), x.shape[1], self.hidden_size)
        if hx is None:
            return [Tensor(np.zeros(want, x.dtype)) for _ in range(self.states)]
        given = list(hx) if self.states > 1 and isinstance(hx, (tuple, list)) else [hx]
        if len(given) != self.states or not all(isinstance(h, Tensor) for h in given):
            what = "a pair (h, c) of Tensors" if self.states > 1 else "one Tensor"
            raise TypeError(f"the initial state of {type(self).__name__} must be {what}")
        made = [h if batched else h.unsqueeze(1) for h in given]
        for h in made:
            if h.shape != want:
                raise ValueError(
                    f"{type(self).__name__} needs an initial state of shape (layers * directions, "
                    f"B, H) = {want}, got {h.shape}"
                )
        return made

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        if self.num_layers != 1:
            parts.append(f"num_layers={self.num_layers}")
        if not self.bias:
            parts.append("bias=False")
        if self.batch_first:
            parts.append("batch_first=True")
        if self.dropout:
            parts.append(f"dropout={self.dropout}")
        if self.bidirectional:
            parts.append("bidirectional=True")
        return ", ".join(parts)


class RNN(_Recurrent):
    __doc__ = (
        f"h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu. Elman 1990.\n{_Recurrent.__doc__}"
    )
    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        dtype: DTypeLike | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity is {nonlinearity!r}; it must be 'tanh' or 'relu'")
        self.nonlinearity = nonlinearity
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype
        )

    def step(self, x: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
        z = x + F.linear(state[0], weight, bias)  # (B, H)
        return (F.tanh(z) if self.nonlinearity == "tanh" else F.relu(z),)


class LSTM(_Recurrent):
    __doc__ = (
        "i, f, o = sigmoid(...), g = tanh(...) of W_ih x + b_ih + W_hh h + b_hh, stacked i f g o;\n"
        f"c' = f c + i g, h' = o tanh(c'). Hochreiter and Schmidhuber 1997.\n{_Recurrent.__doc__}"
    )
    gates = 4
    states = 2

    def step(self, x: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
        h, c = state  # (B, H) each
        i, f, g, o = (x + F.linear(h, weight, bias)).chunk(4, dim=-1)
        c = F.sigmoid(f) * c + F.sigmoid(i) * F.tanh(g)
        return F.sigmoid(o) * F.tanh(c), c


class GRU(_Recurrent):
    __doc__ = (
        "r, z = sigmoid(...), n = tanh(W_in x + b_in + r (W_hn h + b_hn)), stacked as r z n;\n"
        f"h' = (1 - z) n + z h. Cho et al. 2014.\n{_Recurrent.__doc__}"
    )
    gates = 3

    def step(self, x: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
        (h,) = state  # (B, H)
        xr, xz, xn = x.chunk(3, dim=-1)
        hr, hz, hn = F.linear(h, weight, bias).chunk(3, dim=-1)
        z = F.sigmoid(xz + hz)
        n = F.tanh(xn + F.sigmoid(xr + hr) * hn)
        return (n + z * (h - n),)
