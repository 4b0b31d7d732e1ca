"""Checks of gates and units: shut, saturated and dead ones, from weights set by hand."""

import math

import pytest
import torch

from gradscope.dynamics import Trace
from tests.conftest import build, draw
from tests.findings.conftest import RNN, evidence_of, findings_of


def unrolled(name, time=5, **biases):
    """A cell with no weights but the biases of some of its gates, by their place."""
    options = {"activation": "relu"} if name == "relu" else {}
    cell = build("rnn" if name in ("relu", "tanh") else name, **options)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        for index, bias in biases.items():
            start = 4 * int(index.removeprefix("gate"))
            cell.bias_ih[start : start + 4] = torch.as_tensor(bias, dtype=torch.float64)
    inputs = draw(time, 3, 3)
    states = cell.scan(inputs, cell.initial_state(3)).detach()
    return evidence_of({RNN: Trace(cell, inputs, states)})


def logit(share):
    return math.log(share / (1 - share))


@pytest.mark.parametrize(
    ("check", "cell", "gate", "level"),
    [
        ("forget_gates_shut", "lstm", 1, 0.15),
        ("forget_gates_shut", "gru", 1, 0.1),
        ("input_gates_shut", "lstm", 0, 0.05),
        ("output_gates_shut", "lstm", 3, 0.05),
    ],
)
def test_gates_are_shut_below_a_level(check, cell, gate, level):
    for share, found in ((0.98 * level, True), (1.02 * level, False)):
        findings = findings_of(check, unrolled(cell, **{f"gate{gate}": logit(share)}))
        assert bool(findings) == found
        if found:
            assert findings[0].evidence["mean"] == pytest.approx(share)
            assert findings[0].confidence == (3 + 1) / (3 + 2)


@pytest.mark.parametrize(
    ("kept", "found"), [(0.5, True), (0.95, True), (0.97, False), (1.0, False)]
)
def test_little_at_a_time_adds_up_where_little_is_lost(kept, found):
    """0.02 / (1 - f) reaches a half at f = 0.96."""
    evidence = unrolled("lstm", gate0=logit(0.02), gate1=logit(kept) if kept < 1 else 100.0)
    assert bool(findings_of("input_gates_shut", evidence)) == found


@pytest.mark.parametrize(("saturated", "found"), [(2, False), (3, True)])
def test_units_are_saturated_by_share(saturated, found):
    """tanh'(u) is a tenth of its largest at |u| = 1.82: two or three of four units are beyond."""
    biases = [2.0 if unit < saturated else 1.7 for unit in range(4)]
    evidence = unrolled("tanh", gate0=biases)
    findings = findings_of("saturated_units", evidence)
    assert bool(findings) == found
    if found:
        assert findings[0].evidence["share"] == pytest.approx(saturated / 4)
    assert bool(findings_of("saturated_units", evidence, share=0.4)) == (saturated / 4 > 0.4)


def test_open_and_shut_gates_are_not_saturated_units():
    biases = {f"gate{gate}": 20.0 for gate in (0, 1, 3)}
    assert findings_of("saturated_units", unrolled("lstm", **biases)) == []
    assert findings_of("saturated_units", unrolled("lstm", gate2=20.0))


@pytest.mark.parametrize(("dead", "found"), [(1, False), (2, True)])
def test_units_are_dead_by_share(dead, found):
    evidence = unrolled("relu", gate0=[-1.0 if unit < dead else 1.0 for unit in range(4)])
    findings = findings_of("dead_units", evidence)
    assert bool(findings) == found
    if found:
        assert findings[0].evidence["share"] == dead / 4
        assert f"{dead} of 4 units (h) are dead: never active in 15 steps" in findings[0].says
    assert findings_of("dead_units", evidence, share=0.2)


def test_only_rectifiers_die():
    assert findings_of("dead_units", unrolled("tanh", gate0=-1.0)) == []
