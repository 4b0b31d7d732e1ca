"""The LSTM: its equation, its carousel, its biases, and torch's kernel."""

import pytest
import torch

from gradscope.cells.lstm import LSTM
from gradscope.dynamics import jacobian_product, unroll
from gradscope.errors import GradscopeError
from tests.conftest import build, draw


def test_gates_are_what_the_cell_computes():
    """From the recorded gates, the state follows by the equation."""
    x, s = draw(4, 2, 3), draw(4, 2, 8, seed=1)
    lstm = build("lstm")
    i, f, g, o = (gate.activation(gate.preactivation) for gate in lstm.gates(x, s).values())
    c = f * s[..., 4:] + i * g
    torch.testing.assert_close(lstm(x, s), torch.cat((o * torch.tanh(c), c), -1))


def test_the_carousel_is_the_product_of_the_forget_gates():
    """With W_hh = 0 the block dc_t/dc_k of the full product, and nothing else reaches c."""
    cell = build("lstm")
    cell.weight_hh.data.zero_()
    trace = unroll(cell, draw(9, 2, 3))
    f = cell.gates(trace.inputs, trace.states[:-1])["f"].value
    product = jacobian_product(trace, 9, 3).matrix()
    torch.testing.assert_close(product[:, 4:, 4:], torch.diag_embed(f[3:9].prod(0)).detach())
    assert (product[:, :, :4] == 0).all()


def test_chrono_draws_time_scales_evenly():
    """b_f = ln U(1, T - 1), so that time constants are spread evenly over 1..T-1; b_i = -b_f."""
    cell = LSTM(3, hidden_size=4000, chrono=100, generator=torch.Generator().manual_seed(0))
    size = 4000
    total = (cell.bias_ih + cell.bias_hh).detach().double()
    times = total[size : 2 * size].exp()
    assert times.min() >= 1
    assert times.max() <= 99
    assert float(times.mean()) == pytest.approx(50, abs=2)
    torch.testing.assert_close(total[:size], -total[size : 2 * size])


def test_forget_bias_is_the_gates_whole_bias():
    cell = LSTM(3, hidden_size=5, forget_bias=1.5)
    assert torch.equal((cell.bias_ih + cell.bias_hh)[5:10], torch.full((5,), 1.5))


def test_forget_bias_without_a_bias_is_refused():
    with pytest.raises(GradscopeError, match="nothing to act on"):
        LSTM(3, hidden_size=5, forget_bias=1.0, bias=False)


@pytest.mark.parametrize(
    "options",
    [{"chrono": 50, "forget_bias": 1.0}, {"chrono": 50, "bias": False}],
)
def test_options_that_exclude_each_other(options):
    with pytest.raises(GradscopeError):
        build("lstm", **options)
