"""Step Jacobians, the parts of a state, and norms of matrices."""

import pytest
import torch

from gradscope.cells import Cell
from gradscope.cells.rnn import RNN
from gradscope.dynamics import Scaled, Trace, log_norm, step_jacobians, unroll
from gradscope.dynamics.jacobians import all_jacobians, check_pairs, part_of
from gradscope.errors import GradscopeError
from tests.conftest import build, draw


def test_gru_without_recurrent_weights_has_its_update_gate_as_jacobian():
    cell = build("gru")
    cell.weight_hh.data.zero_()
    trace = unroll(cell, draw(3, 2, 3))
    update = torch.sigmoid(cell.gates(trace.inputs, trace.states[:-1])["z"].preactivation)
    torch.testing.assert_close(step_jacobians(trace), torch.diag_embed(update), rtol=0, atol=1e-14)


def test_jacobians_of_a_cell_without_a_closed_form():
    class Odd(Cell):
        def __init__(self):
            super().__init__(2, 3)
            self.w = torch.nn.Parameter(draw(3, 3))

        def forward(self, x, s):
            return torch.sin(s @ self.w.T) * (1 + x.sum(-1, keepdim=True)) + s**2

        def reset_parameters(self, generator=None):
            pass

    cell = Odd()
    trace = unroll(cell, draw(4, 2, 2))
    slow = torch.autograd.functional.jacobian(
        lambda s: cell(trace.inputs[2, 1], s), trace.states[2, 1].detach()
    )
    torch.testing.assert_close(step_jacobians(trace)[2, 1], slow, rtol=0, atol=1e-12)


def test_step_jacobians_that_do_not_fit_into_memory_are_refused_before_anything_is_tried():
    cell = build("rnn", 1, 2)
    huge = torch.zeros(1, 1, 1).expand(2**20 + 1, 2**10, 2**12)  # a view: no memory of its own
    with pytest.raises(GradscopeError, match=r"GiB.*top_singular_values"):
        step_jacobians(Trace(cell, torch.zeros(1, 1, 1).expand(2**20, 2**10, 1), huge))


def test_they_are_made_once():
    trace = unroll(build("rnn"), draw(4, 1, 3))
    assert step_jacobians(trace) is step_jacobians(trace)
    assert all_jacobians(trace) is step_jacobians(trace)
    assert all_jacobians(step_jacobians(trace)) is step_jacobians(trace)


class Infinite(RNN):
    """A cell whose second Jacobian is not finite."""

    def jacobian(self, x, s_prev, s):
        jacobians = super().jacobian(x, s_prev, s)
        jacobians[1] = torch.inf
        return jacobians


def test_jacobians_that_are_not_finite_are_refused_with_their_step():
    cell = Infinite(3, hidden_size=4, dtype=torch.float64)
    with pytest.raises(GradscopeError, match="at t = 2 is not finite"):
        step_jacobians(unroll(cell, draw(4, 1, 3)))


def test_an_empty_trace_is_refused():
    trace = unroll(build("rnn"), draw(4, 1, 3))
    with pytest.raises(GradscopeError, match="the trace is empty"):
        step_jacobians(trace.steps(2, 2))


def test_parts_of_a_state_by_name():
    trace = unroll(build("lstm"), draw(3, 1, 3))
    state = draw(5, 8)
    assert part_of(trace, "state") is None
    for name, place in (("hidden", slice(0, 4)), ("h", slice(0, 4)), ("c", slice(4, 8))):
        take = part_of(trace, name)
        assert torch.equal(take(state), state[:, place])
    with pytest.raises(GradscopeError, match="no part 'cell'; known: state, hidden, h, c"):
        part_of(trace, "cell")
    with pytest.raises(GradscopeError, match=r"known: state$"):
        part_of(step_jacobians(trace), "hidden")


def test_norm_of_a_block_of_a_product():
    matrices = draw(3, 6, 6)
    products = Scaled(matrices, torch.tensor([0.0, 5.0, -900.0], dtype=torch.float64))
    block = matrices[:, 1:4, 1:4]
    for norm, order in (("spectral", 2), ("frobenius", "fro")):
        expected = torch.linalg.matrix_norm(block, order).log() + products.log_scale
        found = log_norm(products, norm, lambda s: s[..., 1:4])
        torch.testing.assert_close(found, expected)


def test_pairs_are_checked():
    check_pairs([(4, 0), (2, 2)], 4)
    for pair in [(5, 0), (1, 2), (2, -1)]:
        with pytest.raises(GradscopeError, match="0 <= k <= t <= 4"):
            check_pairs([(4, 0), pair], 4)
