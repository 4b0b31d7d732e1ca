"""Recurrences that forget by a decay of their own."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import gradscope
from tests.capture.slstm_models import sLSTMCell_vanilla


def made(**weights):
    """A module of these weights, and of modules where a name says so."""
    module = nn.Module()
    for name, value in weights.items():
        held = value if isinstance(value, nn.Module) else nn.Parameter(torch.tensor(value))
        setattr(module, name, held)
    return module


def linear(bias):
    module = nn.Linear(2, len(bias))
    module.bias = nn.Parameter(torch.tensor(bias))
    return module


def lora(bias):
    module = nn.Module()
    module.lora = nn.Sequential(nn.Linear(2, 2), linear(bias))
    return module


def step(dt):
    return math.log(math.expm1(dt))


CASES = {
    "Mamba-2: 1 / (dt A)": (
        made(A_log=[math.log(2.0), 0.0], dt_bias=[step(0.1), step(0.01)]), "head", [5.0, 100.0],
    ),
    "KDA: the slowest key of a head": (
        made(A_log=[[[[0.0], [math.log(4.0)]]]], dt_bias=[step(0.5), step(0.1)] * 2),
        "head", [10.0, 2.5],
    ),
    "Mamba-1: the slowest key of a channel": (
        made(A_log=[[0.0, math.log(9.0)], [math.log(2.0), 1.0]], dt_proj=linear([step(0.1)] * 2)),
        "channel", [10.0, 5.0],
    ),
    "RG-LRU": (
        made(recurrent_param=[step(0.025)] * 2, recurrent_gate_bias=[[0.0, 0.0]]),
        "channel", [10.0, 10.0],
    ),
    "mLSTM: the forget bias": (
        made(fgate=linear([0.0, 3.0])), "head", [1 / math.log(2), 1 / math.log1p(math.exp(-3.0))],
    ),
    "RWKV-4": (made(time_decay=[0.0, -3.0]), "channel", [1.0, math.exp(3.0)]),
    "RWKV-6": (made(w_proj=lora([-1.0])), "channel", [math.e]),
    "RWKV-7": (made(w_lora=lora([0.0])), "channel", [2 * math.exp(0.5)]),
    "Lightning attention": (made(slope_rate=[[[0.5]], [[0.125]]]), "head", [2.0, 8.0]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_horizons_are_those_of_the_equation(case):
    module, unit, horizons = CASES[case]
    (memory,) = gradscope.audit(nn.ModuleDict({"mixer": module})).memories
    assert (memory.place, memory.unit) == ("mixer", unit)
    assert memory.horizons.tolist() == pytest.approx(horizons, rel=1e-4)


def test_a_gate_for_each_key_and_its_normaliser():
    module = made(gk_proj=nn.Sequential(nn.Linear(2, 2), linear([0.0, 3.0, 0.0, 0.0])))
    module.num_heads, module.gate_logit_normalizer = 2, 16
    (memory,) = gradscope.audit(nn.ModuleDict({"gla": module})).memories
    slow = 16 / math.log1p(math.exp(-3.0))
    assert memory.horizons.tolist() == pytest.approx([slow, 16 / math.log(2)])


@pytest.mark.parametrize("name", ["fgate_preact", "ifgate_preact"])
def test_a_soft_cap_and_gates_in_one_matrix(name):
    """C tanh(b / C) with C = 4; where both gates have one bias the forget gate's is behind."""
    biases = [0.0, 6.0] if name == "fgate_preact" else [9.0, 9.0, 0.0, 6.0]
    module = made(**{name: linear(biases)})
    module.config = SimpleNamespace(gate_soft_cap=4.0)
    (memory,) = gradscope.audit(nn.ModuleDict({"mixer": module})).memories
    capped = 4 * math.tanh(1.5)
    expected = [1 / math.log(2), 1 / math.log1p(math.exp(-capped))]
    assert memory.horizons.tolist() == pytest.approx(expected)


def test_the_scalar_memory_of_xlstm_by_its_forget_gates():
    cell = sLSTMCell_vanilla(heads=2, size=4)
    with torch.no_grad():
        cell._bias_[:, 1] = torch.tensor([[0.0, 3.0], [-1.0, 5.0]])
    (memory,) = gradscope.audit(nn.ModuleDict({"cell": cell})).memories
    assert (memory.place, memory.unit) == ("cell", "unit")
    expected = [1 / math.log1p(math.exp(-b)) for b in (0.0, 3.0, -1.0, 5.0)]
    assert memory.horizons.tolist() == pytest.approx(expected)
    open_ = sum(1 / (1 + math.exp(-b)) for b in (0.0, 3.0, -1.0, 5.0)) / 4
    assert memory.facts["forget_gate"] == pytest.approx(open_)
    assert memory.facts["input_gate_bias"] == pytest.approx(
        cell._bias_.detach()[:, 0].mean().item()
    )


def test_retention_decays_for_good():
    module = type("MultiScaleRetention", (nn.Module,), {})()
    module.num_heads = 3
    (memory,) = gradscope.audit(nn.ModuleDict({"retention": module})).memories
    expected = [-1 / math.log1p(-(2.0 ** (-5 - i))) for i in range(3)]
    assert memory.horizons.tolist() == pytest.approx(expected)
