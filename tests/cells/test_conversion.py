"""torch's modules and our cells compute the same, both ways."""

import pytest
import torch
from torch import nn

import gradscope
from gradscope.cells import Stack
from gradscope.cells.gru import GRU
from gradscope.cells.indrnn import IndRNN
from gradscope.cells.lstm import LSTM
from gradscope.errors import GradscopeError

LAYERED = {
    "rnn tanh": lambda: nn.RNN(3, 5, 2),
    "rnn relu": lambda: nn.RNN(3, 5, nonlinearity="relu", bias=False),
    "lstm": lambda: nn.LSTM(3, 5, 3),
    "lstm projected": lambda: nn.LSTM(3, 5, 2, proj_size=2),
    "lstm projected, no bias": lambda: nn.LSTM(3, 5, proj_size=2, bias=False),
    "gru": lambda: nn.GRU(3, 5, 2, bias=False),
}


@pytest.mark.parametrize("made", LAYERED)
def test_there_and_back(made):
    torch.manual_seed(0)
    module = LAYERED[made]().double()
    x = torch.randn(7, 4, 3, dtype=torch.float64)
    before = torch.get_rng_state()
    cell = gradscope.convert(module)
    again = gradscope.convert(cell)
    assert torch.equal(torch.get_rng_state(), before)
    expected = module(x)[0]
    ours = cell.hidden(gradscope.unroll(cell, x).states[1:])
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    assert type(again) is type(module)
    assert again.state_dict().keys() == module.state_dict().keys()
    assert all(
        torch.equal(value, module.state_dict()[name]) for name, value in again.state_dict().items()
    )
    torch.testing.assert_close(again(x)[0], expected, rtol=0, atol=0)


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
@pytest.mark.parametrize("bias", [True, False])
def test_single_step_modules(kind, bias):
    module = kind(3, 5, bias=bias).double()
    cell, x = gradscope.convert(module), torch.randn(4, 3, dtype=torch.float64)
    parts = torch.randn(len(cell.state_blocks), 4, 5, dtype=torch.float64)
    after = module(x, tuple(parts) if len(parts) > 1 else parts[0])
    after = torch.cat(after, -1) if isinstance(after, tuple) else after
    torch.testing.assert_close(cell(x, torch.cat(tuple(parts), -1)), after, rtol=1e-12, atol=1e-12)


def test_weights_are_copies():
    module = nn.LSTM(3, 5)
    cell = gradscope.convert(module)
    with torch.no_grad():
        module.weight_hh_l0.zero_()
    assert cell.layers[0].weight_hh.abs().sum() > 0


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: nn.LSTM(3, 5, bidirectional=True), "two recurrences a layer"),
        (lambda: nn.LSTM(3, 5, 2, dropout=0.5), "set module.dropout = 0"),
        (lambda: nn.Linear(3, 5), "Linear cannot be converted"),
        (lambda: IndRNN(3, hidden_size=5), "torch.nn has no IndRNN"),
        (lambda: LSTM(3, hidden_size=5, peepholes=True), "no vectors"),
        (lambda: LSTM(3, hidden_size=5, variant="cifg"), "variant = 'cifg'"),
        (lambda: Stack([LSTM(3, hidden_size=5), GRU(5, hidden_size=5)]), "all of one kind"),
    ],
)
def test_what_cannot_be_expressed_is_said(made, message):
    with pytest.raises(GradscopeError, match=message):
        gradscope.convert(made())
