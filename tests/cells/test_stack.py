"""Stacks: torch's layers, and one cell made of several."""

import pytest
import torch

from gradscope.cells import Stack
from gradscope.cells.gru import GRU
from gradscope.cells.lstm import LSTM
from gradscope.cells.rnn import RNN
from gradscope.dynamics import jacobian_product, unroll
from gradscope.errors import GradscopeError
from tests.cells.conftest import stack_of
from tests.conftest import build, draw

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


def test_layers_of_different_kinds_step_one_after_the_other():
    lower, upper = build("lstm", 3, 4), build("gru", 4, 5, seed=1)
    cell = Stack([lower, upper])
    assert (cell.input_size, cell.hidden_size, cell.state_size) == (3, 5, 13)
    assert cell.places == [slice(0, 8), slice(8, 13)]
    assert cell.blocks == {"h_l0": slice(0, 4), "c_l0": slice(4, 8), "h_l1": slice(8, 13)}
    x, s = draw(2, 3), draw(2, 13, seed=1)
    below = lower(x, s[:, :8])
    expected = torch.cat((below, upper(below[:, :4], s[:, 8:])), dim=-1)
    assert torch.equal(cell(x, s), expected)
    assert torch.equal(cell.hidden(s), s[:, 8:])
    assert set(cell.gates(x, s)) == {"i_l0", "f_l0", "g_l0", "o_l0", "r_l1", "z_l1", "n_l1"}
    assert set(cell.recurrent_matrices()) == set(cell.gates(x, s))
    upper_gates = upper.gates(below[:, :4], s[:, 8:])
    assert torch.equal(cell.gates(x, s)["z_l1"].preactivation, upper_gates["z"].preactivation)


def test_no_layer_sees_the_one_above():
    """Block lower triangular, over one step and over many."""
    trace = unroll(stack_of("lstm", 3, 3, 4, 0), draw(6, 2, 3))
    product = jacobian_product(trace, 6, 1).matrix()
    assert (product[:, :8, 8:] == 0).all()
    assert (product[:, :16, 16:] == 0).all()
    assert product[:, 16:, :8].abs().min() > 0


def test_a_single_layer_is_its_cell():
    cell, stack = build("lstm"), stack_of("lstm", 1, 3, 4, 0)
    x, s = draw(5, 3), draw(5, 8, seed=1)
    assert stack.blocks == cell.blocks
    assert set(stack.gates(x, s)) == set(cell.gates(x, s))
    assert torch.equal(stack(x, s), cell(x, s))
    assert torch.equal(stack.jacobian(x, s, cell(x, s)), cell.jacobian(x, s, cell(x, s)))


def test_weights_are_drawn_anew_layer_by_layer():
    stack = stack_of("gru", 2, 3, 3, 0)
    stack.reset_parameters(torch.Generator().manual_seed(4))
    first, second = stack.layers
    assert not torch.equal(first.weight_hh, second.weight_hh)
    expected = GRU(
        3, hidden_size=3, generator=torch.Generator().manual_seed(4), dtype=torch.float64
    )
    assert torch.equal(first.weight_hh, expected.weight_hh)


def test_a_stack_inside_a_model_keeps_the_names_of_both():
    model = torch.nn.ModuleDict(
        {"cell": stack_of("lstm", 2, 3, 4, 0), "out": torch.nn.Linear(4, 1)}
    )
    names = set(model.state_dict())
    assert {"cell.weight_ih_l0", "cell.bias_hh_l1", "out.weight"} <= names
    other = torch.nn.ModuleDict(
        {"cell": stack_of("lstm", 2, 3, 4, 7), "out": torch.nn.Linear(4, 1)}
    )
    other.load_state_dict(model.state_dict())
    x = draw(5, 2, 3)
    assert torch.equal(
        other["cell"].unroll(x, other["cell"].initial_state(2)),
        model["cell"].unroll(x, model["cell"].initial_state(2)),
    )


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(GradscopeError, match="reads 5 inputs, but the one below gives 4"):
        Stack([build("rnn", 3, 4), build("rnn", 5, 4)])
    with pytest.raises(GradscopeError, match="at least one cell"):
        Stack([])
