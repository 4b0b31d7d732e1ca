"""Units that see themselves alone."""

import torch

from gradscope.cells.indrnn import IndRNN
from gradscope.dynamics import jacobian_product, unroll
from tests.conftest import build, draw


def test_indrnns_product_is_a_number_for_each_unit():
    cell = build("indrnn", activation="tanh")
    trace = unroll(cell, draw(10, 2, 3))
    slopes = 1 - trace.states[1:] ** 2
    expected = torch.diag_embed((cell.weight_recurrent * slopes[3:]).prod(0))
    torch.testing.assert_close(jacobian_product(trace, 10, 3).matrix(), expected)


def test_recurrent_weights_are_drawn_evenly_from_their_range():
    generator = torch.Generator().manual_seed(0)
    cell = IndRNN(3, hidden_size=4000, low=0.2, high=0.6, generator=generator)
    weight = cell.weight_recurrent.detach()
    assert weight.min() >= 0.2
    assert weight.max() <= 0.6
    assert abs(float(weight.mean()) - 0.4) < 0.01
    assert abs(float(weight.var()) - 0.4**2 / 12) < 0.001


def test_a_unit_does_not_see_another():
    cell, x, s = build("indrnn", activation="tanh"), draw(5, 3), draw(5, 4, seed=1)
    jacobian = cell.jacobian(x, s, cell(x, s))
    assert torch.equal(jacobian, torch.diag_embed(jacobian.diagonal(dim1=-2, dim2=-1)))
