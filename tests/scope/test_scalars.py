"""A recording in a few numbers."""

import math

import pytest
import torch
from torch import nn

import gradscope
from tests.scope.conftest import BATCH, HIDDEN, INPUT, MODELS, inputs, updated


def test_of_gradients_gates_and_parameters():
    torch.manual_seed(0)
    model = MODELS["LSTM"]()
    scope = gradscope.attach(model)
    with scope.record():
        updated(model, torch.optim.Adam(model.parameters(), 0.01))
    scalars = scope.scalars()
    logs = gradscope.adjoints(scope.trace("rnn.l0")).log_norm()
    assert scalars["rnn.l0/adjoint_log_ratio"] == float(logs[1] - logs.max()) <= 0
    assert scalars["rnn.l0/log_adjoint_last"] == float(logs[-1])
    assert scalars["grad_norm_postclip"] == pytest.approx(
        min(0.5, scalars["grad_norm_preclip"]), rel=1e-4
    )
    frame = scope.tables()["saturation"].query("configuration == 'rnn.l1' and gate == 'f'")
    assert scalars["rnn.l1/mean/f"] == frame["mean"].item()
    assert scalars["rnn.l1/saturated/f"] == frame["low"].item() + frame["high"].item()


def test_without_a_clip_or_a_step_there_is_no_norm_after_it():
    model = MODELS["GRU"]()
    scope = gradscope.attach(model)
    with scope.record():
        model(inputs()).sum().backward()
    assert "grad_norm_preclip" in scope.scalars()
    assert "grad_norm_postclip" not in scope.scalars()


def test_numbers_that_are_not_finite_are_left_out():
    """Of a cell that is switched off: the last output alone hears, all before it exactly zero."""
    rnn = nn.RNN(INPUT, HIDDEN, nonlinearity="relu")
    with torch.no_grad():
        rnn.bias_ih_l0.fill_(-100.0)
    scope = gradscope.attach(rnn)
    with scope.record():
        rnn(inputs())[0][-1].sum().backward()
    scalars = scope.scalars()
    assert all(map(math.isfinite, scalars.values()))
    assert "rnn/adjoint_log_ratio" not in scalars
    assert scalars["rnn/log_adjoint_last"] == pytest.approx(0.5 * math.log(BATCH * HIDDEN))


def test_no_gradient_no_adjoints():
    model = MODELS["GRU"]()
    scope = gradscope.attach(model)
    with scope.record(), torch.no_grad():
        model(inputs())
    assert not any("adjoint" in name for name in scope.scalars())
