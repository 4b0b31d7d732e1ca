"""xLSTM's scalar memory with all four parts of its state, written out for autograd."""

from types import SimpleNamespace

import torch
from torch import nn
from torch.nn import functional as F

import gradscope


class sLSTMCell_vanilla(nn.Module):  # noqa: N801 - it is known by the package's name
    """A cell of the package's name and layout."""

    def __init__(self, heads=2, size=6, input_shape="BSGNH", output_shape="BNSH", **options):
        super().__init__()
        self.config = SimpleNamespace(
            num_heads=heads, hidden_size=size, function="slstm", input_shape=input_shape,
            output_shape=output_shape,
        )  # fmt: skip
        vars(self.config).update(options)
        width = size // heads
        self._recurrent_kernel_ = nn.Parameter(torch.randn(heads, width, 4, width))
        self._bias_ = nn.Parameter(torch.randn(heads, 4, width))

    @property
    def _recurrent_kernel(self):
        return self._recurrent_kernel_

    @property
    def _bias(self):
        return self._bias_

    def _recurrent_kernel_int2ext(self, weight):
        return weight

    def _bias_int2ext(self, bias):
        return bias

    def step(self, x, state):
        y, c, n, m = state
        by_head = y.unflatten(-1, (self.config.num_heads, -1))
        through = torch.einsum("bni,nigo->bgno", by_head, self._recurrent_kernel_).flatten(1)
        i, f, z, o = (x + through + self._bias_.transpose(0, 1).flatten()).chunk(4, dim=-1)
        moved = m + F.logsigmoid(f)
        m = i if bool((n == 0).all()) else torch.maximum(i, moved)
        write = torch.minimum((i - m).exp(), torch.ones_like(i))
        keep = torch.minimum((moved - m).exp(), torch.ones_like(i))
        c, n = keep * c + write * z.tanh(), keep * n + write
        return torch.stack((o.sigmoid() * c / n, c, n, m))

    def forward(self, input, state=None):
        x = input.transpose(0, 1) if self.config.input_shape[0] == "B" else input
        size = self.config.hidden_size
        states = [x.new_zeros(4, x.shape[1], size) if state is None else state]
        for x_t in x:
            states.append(self.step(x_t, states[-1]))
        y = torch.stack([part[0] for part in states[1:]])
        by_head = y.unflatten(-1, (self.config.num_heads, -1))
        shaped = {
            "SBH": y, "BSH": y.transpose(0, 1), "SBNH": by_head,
            "BNSH": by_head.permute(1, 2, 0, 3),
        }  # fmt: skip
        return shaped[self.config.output_shape], states[-1].clone()  # not what h is made of


def states_of(step, x, start, arrived, last=None):
    """All states (4, batch, hidden) with their gradients, by autograd through all four parts.

    ``arrived`` is dL/dh of every step from outside, (time, batch, hidden), ``last`` dL/ds_T.
    """
    states, loss = [start.clone().requires_grad_()], 0.0
    for x_t, by_h in zip(x, arrived, strict=True):
        states.append(step(x_t, states[-1]))
        states[-1].retain_grad()
        loss = loss + (states[-1][0] * by_h).sum()
    if last is not None:
        loss = loss + (states[-1] * last).sum()
    loss.backward()
    return states


def full_jacobian(step, x_t, state):
    """ds_t/ds_{t-1} of one sequence over [h, c, n] by autograd through all four parts.

    A move of m is one of c and n in its unit: (c, n, m + d) is (c + c d, n + n d, m).
    """
    size = state.shape[-1]
    whole = torch.autograd.functional.jacobian(
        lambda s: step(x_t[None], s.reshape(4, 1, size)).flatten(), state.flatten()
    )
    after = step(x_t[None], state.reshape(4, 1, size)).reshape(4, size)
    by_m, zero = whole[3 * size :], torch.zeros(size, 4 * size, dtype=whole.dtype)
    moved = torch.cat((zero, after[1][:, None] * by_m, after[2][:, None] * by_m))
    return (whole[: 3 * size] + moved)[:, : 3 * size]


def check(trace, step, x, start, arrived, last=None, weights=None):
    """A trace against autograd through all four parts of the state."""
    states = states_of(step, x, start, arrived, last)
    own = torch.stack([torch.cat(tuple(state[:3]), -1) for state in states]).detach()
    torch.testing.assert_close(trace.states.detach(), own, rtol=0, atol=1e-10)
    adjoints = gradscope.adjoints(trace)
    expected = torch.stack([torch.cat(tuple(state.grad[:3]), -1) for state in states])
    scale = float(expected.abs().max())
    torch.testing.assert_close(adjoints.values()[1:], expected[1:], rtol=0, atol=1e-10 * scale)
    jacobians = trace.jacobians()
    for t in range(1, trace.time):
        for b in range(trace.batch):
            known = full_jacobian(step, x[t, b], states[t][:, b].detach())
            torch.testing.assert_close(jacobians[t, b], known, rtol=1e-10, atol=1e-10)
    if weights is not None:
        found = trace.linearisation().by_parameters(adjoints.values()[1:])
        for name, gradient in weights.items():
            close = gradient.abs().max() * 1e-10
            torch.testing.assert_close(found[name], gradient, rtol=0, atol=float(close))
