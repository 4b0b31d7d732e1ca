"""States and gradients that are infinite or NaN."""

import math

import torch
from torch import nn

import gradscope
from tests.findings.conftest import RNN, evidence_of, findings_of, linear, names_of


def test_the_first_step_is_named():
    trace = linear(1.0, 5)
    trace.states[3:, 1] = math.inf
    (finding,) = findings_of("not_finite", evidence_of({RNN: trace}))
    assert (finding.where, finding.evidence) == ("rnn", {"step": 3.0})


def test_parameters_without_a_finite_gradient_are_counted():
    gradients = {"a": math.nan, "b": 1.0, "c": math.inf}
    (finding,) = findings_of("not_finite", evidence_of({}, gradients=gradients))
    assert finding.where == "all parameters"
    assert "2 of 3 parameters is not finite (a, c)" in finding.says


def test_states_that_overflow():
    cell, h = nn.RNNCell(4, 5, nonlinearity="relu"), torch.ones(2, 5)
    with torch.no_grad():
        cell.weight_hh.copy_(2 * torch.eye(5))
    scope = gradscope.attach(cell)
    with scope.record():
        for step in torch.randn(140, 2, 4):
            h = cell(step, h)
        h.sum().backward()
    assert "not_finite" in names_of(scope.diagnose().findings)


def test_a_loss_that_is_no_number():
    model = nn.GRU(3, 8)
    scope = gradscope.attach(model)
    with scope.record():
        (model(torch.randn(12, 4, 3))[0].sum() * math.nan).backward()
    assert names_of(scope.diagnose().findings) == ["not_finite"]


def said_of(change):
    model, x = nn.GRU(3, 8), torch.randn(12, 4, 3)
    change(model, x)
    scope = gradscope.attach(model)
    with scope.record():
        model(x)[0].sum().backward()
    return scope.diagnose().findings[0].says


def test_the_source_is_named():
    def bad_input(model, x):
        x[4, 2, 1] = math.nan

    def bad_weight(model, x):
        with torch.no_grad():
            model.weight_hh_l0[0, 0] = math.inf

    assert "from t = 5 on, as its input there is not (first in sequence 3, unit 2)" in said_of(
        bad_input
    )
    assert "as its weight_hh is not" in said_of(bad_weight)
