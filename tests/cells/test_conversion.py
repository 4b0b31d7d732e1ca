"""torch's modules and our cells compute the same, both ways."""

import pytest
import torch
from torch import nn

from gradscope.cells import Stack
from gradscope.cells._conversion import convert, layer_cells, named_weights
from gradscope.cells.gru import GRU
from gradscope.cells.indrnn import IndRNN
from gradscope.cells.lstm import LSTM
from gradscope.cells.lstm_variant import LSTMVariant
from gradscope.cells.rnn import RNN
from gradscope.dynamics import unroll
from gradscope.errors import GradscopeError


class OddCell(nn.RNNCellBase):
    """A cell of torch's kind whose step nobody knows."""


class Doubled(nn.LSTM):
    """An LSTM that computes something else."""

    def forward(self, input, hx=None):
        return super().forward(2 * input, hx)


def population(cell: RNN) -> RNN:
    """A cell whose weights carry a leading trial axis."""
    for name, weight in list(cell.named_parameters()):
        setattr(cell, name, nn.Parameter(torch.stack([weight.detach()] * 2)))
    return cell


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
    cell = convert(module)
    again = convert(cell)
    assert torch.equal(torch.get_rng_state(), before)
    expected = module(x)[0]
    ours = cell.hidden(unroll(cell, x).states[1:])
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
    cell, x = convert(module), torch.randn(4, 3, dtype=torch.float64)
    parts = torch.randn(len(cell.state_blocks), 4, 5, dtype=torch.float64)
    after = module(x, tuple(parts) if len(parts) > 1 else parts[0])
    after = torch.cat(after, -1) if isinstance(after, tuple) else after
    torch.testing.assert_close(cell(x, torch.cat(tuple(parts), -1)), after, rtol=1e-12, atol=1e-12)


def test_weights_are_copies():
    module = nn.LSTM(3, 5)
    cell = convert(module)
    with torch.no_grad():
        module.weight_hh_l0.zero_()
    assert cell.layers[0].weight_hh.abs().sum() > 0


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: nn.LSTM(3, 5, bidirectional=True), "two recurrences in each layer"),
        (lambda: nn.LSTM(3, 5, 2, dropout=0.5), "set module.dropout = 0"),
        (lambda: nn.Linear(3, 5), "Linear cannot be converted"),
        (lambda: IndRNN(3, hidden_size=5), "torch.nn has no IndRNN"),
        (lambda: LSTMVariant(3, hidden_size=5, peepholes=True), "torch.nn has no LSTMVariant"),
        (lambda: LSTMVariant(3, hidden_size=5, variant="cifg"), "torch.nn has no LSTMVariant"),
        (lambda: RNN(3, hidden_size=5, activation="gelu"), "tanh or relu in all layers, not gelu"),
        (lambda: OddCell(3, 5, bias=True, num_chunks=1), "OddCell cannot be converted"),
        (lambda: Stack([LSTM(3, hidden_size=5), GRU(5, hidden_size=5)]), "all of one kind"),
        (lambda: Stack([LSTM(3, hidden_size=5), LSTM(5, hidden_size=4)]), "all of one kind"),
        (
            lambda: Stack([LSTM(3, hidden_size=5), LSTM(5, hidden_size=5, bias=False)]),
            "all with biases or all without",
        ),
        (
            lambda: Stack([LSTM(3, hidden_size=5), LSTM(5, hidden_size=5).double()]),
            "dtype and device",
        ),
        (lambda: Doubled(3, 5), "Doubled cannot be converted: it has a forward pass of its own"),
        (lambda: population(RNN(3, hidden_size=5)), "convert one trial's at once"),
    ],
)
def test_what_cannot_be_expressed_is_said(made, message):
    with pytest.raises(GradscopeError, match=message):
        convert(made())


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_cell_for_every_layer_and_direction(bidirectional):
    module = nn.GRU(3, 5, 2, bidirectional=bidirectional).double()
    cells = dict(layer_cells(module))
    directions = ["", "_reverse"] if bidirectional else [""]
    assert list(cells) == [f"l{layer}{way}" for layer in range(2) for way in directions]
    assert [cell.input_size for cell in cells.values()] == [
        3 if layer == 0 else 5 * len(directions) for layer in range(2) for _ in directions
    ]
    for suffix, cell in cells.items():
        for name, value in cell.named_parameters():
            assert torch.equal(value, getattr(module, f"{name}_{suffix}"))


def test_weights_of_a_parametrised_module_are_what_it_computes_with():
    module = nn.LSTM(3, 5).double()
    torch.nn.utils.parametrizations.orthogonal(module, "weight_ih_l0")
    x = torch.randn(7, 2, 3, dtype=torch.float64)
    expected = module(x)[0]  # the first call renews the module's list of weights
    weights = dict(named_weights(module))
    torch.testing.assert_close(
        weights["weight_ih_l0"].mT @ weights["weight_ih_l0"], torch.eye(3).double()
    )
    cell = convert(module)
    torch.testing.assert_close(cell.hidden(unroll(cell, x).states[1:]), expected)


@pytest.mark.parametrize("training", [False, True])
def test_a_converted_module_is_in_the_same_mode(training):
    for module in (nn.LSTM(3, 5, 2), nn.LSTMCell(3, 5)):
        cell = convert(module.train(training))
        assert cell.training is training
        assert all(part.training is training for part in cell.modules())
        assert convert(cell).training is training
    assert convert(convert(nn.LSTM(3, 5)).train(training)).training is training


#: what a module may be beside its weights -> what tells it
KEPT = {
    "batch_first": ({"batch_first": True}, lambda module: module.batch_first),
    "time first": ({}, lambda module: module.batch_first),
    "bias": ({"bias": False}, lambda module: module.bias),
    "layers": ({"num_layers": 3}, lambda module: module.num_layers),
    "dtype": ({"dtype": torch.float64}, lambda module: module.weight_ih_l0.dtype),
    "device": ({"device": "meta"}, lambda module: module.weight_ih_l0.device),
    "sizes": ({}, lambda module: (module.input_size, module.hidden_size, module.proj_size)),
}


@pytest.mark.parametrize("what", KEPT)
@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_there_and_back_keeps(kind, what):
    options, tell = KEPT[what]
    module = kind(3, 5, **options)
    again = convert(convert(module))
    assert type(again) is kind
    assert tell(again) == tell(module)


def test_batches_come_first_again_after_a_way_through_a_stack():
    module = nn.GRU(3, 5, 2, batch_first=True).double()
    cell, x = convert(module), torch.randn(4, 7, 3, dtype=torch.float64)
    ours = cell.hidden(unroll(cell, x.transpose(0, 1)).states[1:]).transpose(0, 1)
    torch.testing.assert_close(ours, module(x)[0], rtol=1e-12, atol=1e-12)
    assert torch.equal(convert(cell)(x)[0], module(x)[0])


def test_frozen_weights_stay_frozen():
    module = nn.LSTM(3, 5, 2)
    module.weight_hh_l1.requires_grad_(False)
    cell = convert(module)
    assert {n for n, p in cell.named_parameters() if not p.requires_grad} == {"cells.1.weight_hh"}
    frozen = {name for name, p in convert(cell).named_parameters() if not p.requires_grad}
    assert frozen == {"weight_hh_l1"}
    single = nn.GRUCell(3, 5)
    single.bias_ih.requires_grad_(False)
    assert {n for n, p in convert(single).named_parameters() if not p.requires_grad} == {"bias_ih"}


def test_a_parametrised_step_is_what_it_computes():
    module = nn.GRUCell(3, 5).double()
    torch.nn.utils.parametrizations.orthogonal(module, "weight_hh")
    cell, x, h = convert(module), torch.randn(4, 3).double(), torch.randn(4, 5).double()
    torch.testing.assert_close(cell(x, h), module(x, h), rtol=1e-12, atol=1e-12)
