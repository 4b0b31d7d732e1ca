"""Changes to torch's recurrent modules."""

import pytest
import torch
from torch import nn

from gradscope.remedies._changes import (
    rectified,
    redraw_recurrent,
    set_gate,
    start_of_all,
    swapped_for,
    zero_biases,
)
from tests.remedies.conftest import HIDDEN, INPUT, plan_of


def test_a_module_swapped_for_another_keeps_its_shape():
    simple = nn.RNN(
        INPUT,
        HIDDEN,
        2,
        bias=False,
        batch_first=True,
        dropout=0.25,
        bidirectional=True,
        dtype=torch.float64,
    )
    plan = plan_of(simple)
    assert swapped_for(plan, nn.LSTM)
    module = plan.model["body"]["rnn"]
    assert type(module) is nn.LSTM
    for option in (
        *("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout"),
        "bidirectional",
    ):
        assert getattr(module, option) == getattr(simple, option), option
    assert module.weight_hh_l0.dtype == torch.float64


def test_only_simple_modules_are_swapped():
    plan = plan_of(nn.LSTM(INPUT, HIDDEN))
    before = plan.model["body"]["rnn"]
    assert not swapped_for(plan, nn.GRU)
    assert plan.model["body"]["rnn"] is before


@pytest.mark.parametrize("module", [nn.GRU(INPUT, HIDDEN, 2), nn.LSTMCell(INPUT, HIDDEN)])
def test_every_gates_recurrent_matrix_is_drawn(module):
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    assert redraw_recurrent(module, "orthogonal")
    for name, parameter in module.named_parameters():
        if "weight_hh" not in name:
            assert torch.equal(parameter, before[name])
            continue
        blocks = parameter.detach().split(HIDDEN)
        for block in blocks:
            torch.testing.assert_close(block @ block.mT, torch.eye(HIDDEN), rtol=1e-5, atol=1e-5)
        assert not torch.allclose(blocks[0], blocks[1])


def test_a_projected_module_has_no_square_matrix():
    assert not redraw_recurrent(nn.LSTM(INPUT, HIDDEN, proj_size=2), "orthogonal")


def test_starts_and_rectifiers_of_a_whole_plan():
    plan = plan_of(nn.RNN(INPUT, HIDDEN))
    assert start_of_all(plan, "identity")
    assert torch.equal(plan.model["body"]["rnn"].weight_hh_l0.detach(), torch.eye(HIDDEN))
    assert rectified(plan, "identity")
    assert plan.model["body"]["rnn"].nonlinearity == "relu"
    assert not rectified(plan_of(nn.GRU(INPUT, HIDDEN)), "identity")
    plan.places = ()
    assert not start_of_all(plan, "identity")


def test_a_gates_bias_is_set_in_the_first_and_zero_in_the_second():
    module = nn.GRU(INPUT, HIDDEN, 2)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    assert set_gate(module, 2, torch.arange(float(HIDDEN)))
    for name, parameter in module.named_parameters():
        gate = slice(2 * HIDDEN, 3 * HIDDEN)
        if "bias" in name:
            expected = list(range(HIDDEN)) if "bias_ih" in name else [0] * HIDDEN
            assert parameter[gate].tolist() == expected
            assert torch.equal(parameter[: 2 * HIDDEN], before[name][: 2 * HIDDEN])
        else:
            assert torch.equal(parameter, before[name])


def test_without_biases_there_is_nothing_to_set():
    module = nn.GRU(INPUT, HIDDEN, bias=False)
    assert not set_gate(module, 1, 1.0)
    assert not zero_biases(module)
