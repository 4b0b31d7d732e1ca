"""unroll: the states of a plain loop, and what it refuses."""

import pytest
import torch

from gradscope.cells import CELLS, Cell
from gradscope.dynamics import unroll
from gradscope.errors import GradscopeError
from tests.conftest import build, draw


@pytest.mark.parametrize("name", CELLS.names())
def test_states_are_those_of_a_plain_loop(name):
    cell, inputs = build(name), draw(6, 2, 3)
    trace = unroll(cell, inputs)
    state = torch.zeros(2, cell.state_size, dtype=torch.float64)
    assert torch.equal(trace.states[0], state)
    for x, after in zip(inputs, trace.states[1:], strict=True):
        state = cell(x, state)
        torch.testing.assert_close(after, state, rtol=0, atol=1e-12)
    assert trace.states.requires_grad
    assert trace.states.is_leaf


def test_from_a_state_of_ones_own_and_cut_off_from_its_past():
    cell, start = build("gru"), draw(2, 4, seed=1).requires_grad_()
    inputs = (2 * draw(3, 2, 3)).requires_grad_()
    trace = unroll(cell, inputs, start)
    assert torch.equal(trace.states[0], start)
    assert not trace.inputs.requires_grad
    torch.testing.assert_close(trace.states[1], cell(inputs[0], start))


def test_errors_name_the_cause():
    with pytest.raises(GradscopeError, match="no time step"):
        unroll(build("rnn"), draw(0, 1, 3))
    with pytest.raises(GradscopeError, match=r"\(time, batch, 3\), got \(4, 1, 2\)"):
        unroll(build("rnn"), draw(4, 1, 2))
    broken = build("rnn", activation="relu")
    broken.weight_hh.data[0, 0] = torch.nan
    with pytest.raises(GradscopeError, match="t = 1 is not finite"):
        unroll(broken, draw(4, 1, 3))
    with pytest.raises(GradscopeError, match="the state should be"):
        unroll(build("rnn"), draw(4, 1, 3), draw(2, 4))


def test_cells_that_cannot_be_measured_say_why():
    from gradscope import adjoints

    class Noisy(Cell):
        def __init__(self, how):
            super().__init__(2, 3)
            self.how, self.w = how, torch.nn.Parameter(draw(3, 3))

        def forward(self, x, s):
            after = torch.tanh(s @ self.w.mT + x.sum(-1, keepdim=True))
            return after + torch.randn_like(after) if self.how == "random" else after.detach()

        def reset_parameters(self, generator=None):
            pass

    with pytest.raises(GradscopeError, match=r"not deterministic.*cell\.eval\(\)"):
        unroll(Noisy("random"), draw(4, 2, 2))
    trace = unroll(Noisy("cut off"), draw(4, 2, 2))
    with pytest.raises(GradscopeError, match="not differentiable"):
        adjoints(trace, trace.states[-1].sum(-1)[None])
