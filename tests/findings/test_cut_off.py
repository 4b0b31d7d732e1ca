"""A recurrence that no gradient reaches."""

import torch
from torch import nn

import gradscope
from tests.findings.conftest import RNN, evidence_of, findings_of, linear, names_of


def silent(model=None):
    return evidence_of({RNN: linear(1.0, 3, heard=False)}, gradients={"out": 1.0}, model=model)


def test_other_parameters_have_a_gradient():
    (finding,) = findings_of("cut_off", silent())
    assert "no gradient reaches it" in finding.says


def test_a_gradient_of_exactly_zero_is_told_apart():
    trace = linear(1.0, 3)
    zero = trace.with_losses_of(type(trace.immediate)(torch.zeros_like(trace.states)))
    (finding,) = findings_of("cut_off", evidence_of({RNN: zero}, gradients={"out": 1.0}))
    assert "exactly zero" in finding.says


def test_without_a_backward_pass_or_anything_to_learn_nothing_is_said():
    assert findings_of("cut_off", evidence_of({RNN: linear(1.0, 3, heard=False)})) == []
    frozen = nn.ModuleDict({"rnn": nn.GRU(3, 4).requires_grad_(False)})
    assert findings_of("cut_off", silent(frozen)) == []


def test_a_validation_beside_a_training_step_is_not_cut_off():
    rnn, out = nn.LSTM(3, 8), nn.Linear(8, 2)
    model = nn.ModuleDict({"rnn": rnn, "out": out})
    scope = gradscope.attach(model)
    with scope.record():
        out(rnn(torch.randn(8, 4, 3))[0]).sum().backward()
        with torch.no_grad():
            rnn(torch.randn(8, 4, 3))
    assert "cut_off" not in names_of(scope.diagnose().findings)
