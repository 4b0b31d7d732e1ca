"""State dicts of torch.nn's modules load, go back, and give equal outputs and gradients."""

import pytest
import torch

from gradscope.cells import Stack
from gradscope.cells.gru import GRU
from gradscope.cells.lstm import LSTM
from gradscope.cells.rnn import RNN
from tests.conftest import draw

CASES = {
    "rnn tanh": (RNN, {}, torch.nn.RNN, {}),
    "rnn relu": (RNN, {"activation": "relu"}, torch.nn.RNN, {"nonlinearity": "relu"}),
    "lstm": (LSTM, {}, torch.nn.LSTM, {}),
    "gru": (GRU, {}, torch.nn.GRU, {}),
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_outputs_and_gradients_equal_torchs(case, layers, bias):
    ours_class, options, theirs_class, their_options = CASES[case]
    torch.manual_seed(3)
    theirs = theirs_class(3, 5, layers, bias=bias, **their_options).double()
    ours = Stack(
        [
            ours_class(
                3 if layer == 0 else 5, hidden_size=5, bias=bias, dtype=torch.float64, **options
            )
            for layer in range(layers)
        ]
    )
    ours.load_state_dict(theirs.state_dict())
    x, weights = draw(9, 4, 3), draw(9, 4, 5, seed=1)

    expected, _ = theirs(x)
    (expected * weights).sum().backward()
    gradients = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    for way in ("unroll", "scan", "outputs"):
        ours.zero_grad()
        result = getattr(ours, way)(x, ours.initial_state(4))
        hidden = result[0] if way == "outputs" else ours.hidden(result)[1:]
        torch.testing.assert_close(hidden, expected, rtol=0, atol=1e-12)
        (hidden * weights).sum().backward()
        for layer, cell in enumerate(ours.layers):
            for name, parameter in cell.named_parameters():
                torch.testing.assert_close(
                    parameter.grad, gradients[f"{name}_l{layer}"], rtol=0, atol=1e-12
                )


@pytest.mark.parametrize("case", CASES)
def test_weights_go_back_to_torch(case):
    ours_class, options, theirs_class, their_options = CASES[case]
    ours = Stack([ours_class(3, hidden_size=5, **options), ours_class(5, hidden_size=5, **options)])
    theirs = theirs_class(3, 5, 2, **their_options)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(7, 2, 3)
    torch.testing.assert_close(theirs(x)[0], ours.outputs(x, ours.initial_state(2))[0])


def test_a_single_cell_takes_a_one_layer_module_and_a_cell_module():
    module, cell_module = torch.nn.LSTM(3, 5), torch.nn.LSTMCell(3, 5)
    cell = LSTM(3, hidden_size=5)
    cell.load_state_dict(module.state_dict())
    assert torch.equal(cell.weight_hh, module.weight_hh_l0)
    cell.load_state_dict(cell_module.state_dict())
    assert torch.equal(cell.weight_hh, cell_module.weight_hh)
    stack = Stack([LSTM(3, hidden_size=5)])
    stack.load_state_dict(cell_module.state_dict())
    assert torch.equal(stack.layers[0].weight_ih, cell_module.weight_ih)


def test_a_module_with_another_shape_is_refused():
    with pytest.raises(RuntimeError, match="size mismatch"):
        Stack([LSTM(3, hidden_size=5)]).load_state_dict(torch.nn.LSTM(3, 6).state_dict())


def test_forget_bias_is_the_gates_whole_bias():
    cell = LSTM(3, hidden_size=5, forget_bias=1.5)
    assert torch.equal((cell.bias_ih + cell.bias_hh)[5:10], torch.full((5,), 1.5))


def test_forget_bias_without_a_bias_is_refused():
    from gradscope import GradscopeError

    with pytest.raises(GradscopeError, match="nothing to act on"):
        LSTM(3, hidden_size=5, forget_bias=1.0, bias=False)
