"""JANET: its forget gate is all that it has."""

import pytest
import torch

from gradscope.cells.janet import JANET
from gradscope.dynamics import jacobian_product, unroll
from gradscope.errors import GradscopeError
from tests.conftest import build, draw


def test_janet_keeps_what_its_forget_gate_lets_it():
    cell = build("janet", beta=0.0)
    cell.weight_hh.data.zero_()
    trace = unroll(cell, draw(8, 2, 3))
    f = torch.sigmoid(cell.gates(trace.inputs, trace.states[:-1])["f"].preactivation)
    torch.testing.assert_close(jacobian_product(trace, 8, 0).matrix(), torch.diag_embed(f.prod(0)))
    value = cell.gates(trace.inputs, trace.states[:-1])["g"]
    torch.testing.assert_close(
        trace.states[1:], f * trace.states[:-1] + (1 - f) * torch.tanh(value.preactivation)
    )


def test_beta_opens_what_is_written():
    cell, x, s = build("janet", beta=1.5), draw(5, 3), draw(5, 4, seed=1)
    gates = cell.gates(x, s)
    write = torch.sigmoid(1.5 - gates["f"].preactivation)
    torch.testing.assert_close(cell(x, s), gates["f"].value * s + write * gates["g"].value)


def test_chrono_draws_the_forget_bias():
    generator = torch.Generator().manual_seed(0)
    cell = JANET(3, hidden_size=3000, chrono=40, generator=generator)
    times = (cell.bias_ih + cell.bias_hh).detach()[:3000].exp()
    assert times.min() >= 0.999
    assert times.max() <= 39.001
    assert float(times.mean()) == pytest.approx(20, abs=0.6)
    with pytest.raises(GradscopeError, match="chrono needs biases"):
        JANET(3, hidden_size=3, chrono=40, bias=False)
