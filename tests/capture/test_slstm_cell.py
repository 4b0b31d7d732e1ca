"""The scalar memory's cell: its closed form, and what its stabiliser is."""

import pytest
import torch

from gradscope.capture._slstm_cell import SlstmCell, run
from gradscope.errors import GradscopeError
from tests.capture.slstm_models import sLSTMCell_vanilla

SIZE = 6


def drawn(time=5, batch=2):
    torch.manual_seed(0)
    cell = SlstmCell(sLSTMCell_vanilla(heads=3, size=SIZE).double(), 3, SIZE)
    x = torch.randn(time, batch, 4 * SIZE, dtype=torch.float64)
    return cell, x, run(cell, x, None)


def test_the_jacobian_is_autograds():
    cell, _, ran = drawn()
    before, after = ran.states[:-1], ran.states[1:]
    known = cell._by_func(1, ran.inputs, before)
    torch.testing.assert_close(cell.jacobian(ran.inputs, before, after), known)


def test_the_units_of_the_state_do_not_change_what_is_put_out():
    """(a c, a n, m - ln a) is the same state, and gives the same h at all later steps."""
    cell, x, ran = drawn()
    h, c, n = ran.states[2].chunk(3, dim=-1)
    unit, other = torch.zeros_like(h), torch.full_like(h, 1.7)
    one = run(cell, x, torch.stack((h, c, n, unit))).states
    same = run(cell, x, torch.stack((h, c * other.exp(), n * other.exp(), unit - other))).states
    torch.testing.assert_close(one[1:, :, :SIZE], same[1:, :, :SIZE])


def test_an_empty_memory_has_the_unit_of_the_first_step():
    cell, x, ran = drawn()
    torch.testing.assert_close(ran.inputs[0, :, 4 * SIZE :], torch.zeros_like(x[0, :, :SIZE]))
    kept = cell.jacobian(ran.inputs[:1], ran.states[:1], ran.states[1:2])[0]
    f = cell.gates(ran.inputs[:1], ran.states[:1])["f"].value[0]
    block = kept[:, SIZE : 2 * SIZE, SIZE : 2 * SIZE]
    torch.testing.assert_close(block.diagonal(dim1=-2, dim2=-1), f)


def test_no_gradient_goes_to_the_unit():
    cell, _, ran = drawn()
    x = ran.inputs.clone().requires_grad_()
    cell(x, ran.states[:-1]).sum().backward()
    assert not x.grad[..., 4 * SIZE :].any()
    assert x.grad[..., : 4 * SIZE].any()


def test_recurrent_matrices_are_block_diagonal():
    cell, *_ = drawn()
    h, none = torch.randn(2, SIZE, dtype=torch.float64), torch.zeros(2, 4 * SIZE).double()
    bias = torch.cat(cell.preactivations(none, torch.zeros_like(h)), dim=-1)
    through = torch.cat(cell.preactivations(none, h), dim=-1) - bias
    matrices = cell.recurrent_matrices()
    torch.testing.assert_close(
        torch.cat([h @ matrix.mT for matrix in matrices.values()], -1), through
    )
    assert all(not matrix[:2, 2:].any() for matrix in matrices.values())


def test_weights_cannot_be_drawn():
    with pytest.raises(GradscopeError, match="the attached module's"):
        drawn()[0].reset_parameters()
