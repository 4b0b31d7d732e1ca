"""Layer normalisation inside an LSTM."""

import pytest
import torch
from torch.nn import functional as F

from gradscope.cells.layer_norm_lstm import LayerNormLSTM
from gradscope.errors import GradscopeError
from tests.conftest import build, draw


def test_layer_normalisation_does_not_see_the_size_of_the_recurrent_weights():
    cell = build("layer_norm_lstm")
    x, s = draw(5, 3), draw(5, 8, seed=1)
    before = cell(x, s)
    cell.weight_hh.data *= 7.0
    torch.testing.assert_close(cell(x, s), before, rtol=0, atol=1e-4)


def test_the_equation_with_torchs_layer_norm():
    cell = build("layer_norm_lstm")
    x, s = draw(5, 3), draw(5, 8, seed=1)
    u = (
        F.layer_norm(x @ cell.weight_ih.T, (16,), cell.gain_ih)
        + F.layer_norm(s[:, :4] @ cell.weight_hh.T, (16,), cell.gain_hh)
        + cell.bias_ih
    )
    i, f, g, o = u.chunk(4, dim=-1)
    c = torch.sigmoid(f) * s[:, 4:] + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(F.layer_norm(c, (4,), cell.gain_c, cell.shift_c))
    torch.testing.assert_close(cell(x, s), torch.cat((h, c), -1))


def test_it_starts_with_gains_of_one_and_the_forget_bias_that_is_asked_for():
    cell = LayerNormLSTM(3, hidden_size=4, forget_bias=2.0)
    for gain in (cell.gain_ih, cell.gain_hh, cell.gain_c):
        assert (gain == 1).all()
    assert (cell.shift_c == 0).all()
    assert (cell.bias_ih[4:8] == 2).all()
    with pytest.raises(GradscopeError, match="nothing to act on"):
        LayerNormLSTM(3, hidden_size=4, forget_bias=2.0, bias=False)
