"""Recurrences with weights from state to state."""

import math

import pytest
import torch
from torch import nn

import gradscope
from gradscope.auditing._cells import _SMALL, read_cell
from gradscope.cells import CELLS
from gradscope.cells._conversion import convert


def memory_of(model):
    (memory,) = gradscope.audit(model).memories
    return memory


@pytest.mark.parametrize("bias", [-3.0, 0.0, 1.0, 5.0])
def test_an_lstm_remembers_as_its_forget_bias_says(bias):
    model = nn.LSTM(3, 8)
    with torch.no_grad():
        model.bias_ih_l0.zero_(), model.bias_hh_l0.zero_()
        model.bias_hh_l0[8:16] = bias
    memory, forget = memory_of(model), 1 / (1 + math.exp(-bias))
    assert memory.unit == "unit"
    assert memory.horizons.tolist() == pytest.approx([-1 / math.log(forget)] * 8)
    assert memory.facts["forget_gate"] == pytest.approx(forget)
    shut = [fault.name for fault in gradscope.audit(model).faults]
    assert ("forget_gates_shut" in shut) == (bias == -3.0)


def test_a_gru_remembers_as_its_update_bias_says():
    model = nn.GRU(3, 8)
    with torch.no_grad():
        model.bias_ih_l0.zero_(), model.bias_hh_l0.zero_()
        model.bias_hh_l0[8:16] = 2.0
    assert memory_of(model).longest == pytest.approx(1 / math.log1p(math.exp(-2.0)))


def test_a_simple_network_remembers_as_its_modes_do():
    torch.manual_seed(0)
    model = nn.RNN(3, 20, bias=False)
    moduli = torch.linalg.eigvals(model.weight_hh_l0.detach().double()).abs().sort().values
    memory = memory_of(model)
    assert memory.unit == "mode"
    assert sorted(memory.rates.tolist(), reverse=True) == pytest.approx((-moduli.log()).tolist())
    assert memory.facts["spectral_radius"] == pytest.approx(float(moduli[-1]))


def test_weights_that_explode_are_a_fault():
    for nonlinearity in ("tanh", "relu"):
        model = nn.RNN(3, 64, nonlinearity=nonlinearity)
        nn.init.normal_(model.weight_hh_l0, std=3 / 8)
        (fault,) = gradscope.audit(model).faults
        assert fault.name == "exploding"


def test_the_largest_mode_of_a_large_matrix_is_found():
    model = nn.RNN(2, _SMALL + 8, bias=False)
    with torch.no_grad():
        model.weight_hh_l0.copy_(torch.linspace(0.1, 0.9, _SMALL + 8).diag())
        model.weight_hh_l0[-1, -1] = 0.99
    assert memory_of(model).facts["spectral_radius"] == pytest.approx(0.99, rel=0.02)


@pytest.mark.parametrize("name", CELLS.names())
def test_every_cell_can_be_read(name):
    cell = CELLS.make({"name": name, "hidden_size": 6}).build(3)
    read = read_cell("", cell)
    assert len(read.rates)
    assert not read.rates.isnan().any()
    assert read.facts["spectral_radius"] >= 0


def test_cells_of_torch_and_of_gradscope_are_read_alike():
    module = nn.LSTMCell(3, 5)
    expected, found = memory_of(module), memory_of(convert(module))
    assert found.horizons.tolist() == pytest.approx(expected.horizons.tolist(), rel=1e-6)
