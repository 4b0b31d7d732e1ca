"""Vanishing: the lag at which a factor of a thousand is lost, in closed form."""

import math

import pytest
import torch
from torch import nn

from benchmarks.planted_models import HIDDEN, INPUT, simple
from gradscope.capture import Place
from gradscope.dynamics import Adjoints
from tests.findings.conftest import RNN, evidence_of, findings_of, linear


def test_a_rate_of_one_half_loses_a_factor_of_a_thousand_after_ten_steps():
    """2^9 = 512 and 2^10 = 1024."""
    (finding,) = findings_of("vanishing", evidence_of({RNN: linear(0.5, 20)}))
    assert finding.evidence["lag"] == 10
    assert finding.evidence["fall_nats"] == pytest.approx(20 * math.log(2))
    assert finding.evidence["nats_per_step"] == pytest.approx(-math.log(2))
    assert finding.severity == pytest.approx(0.3 + 0.7 * (1 - 10 / 20))
    assert finding.confidence == (3 + 1) / (3 + 2)


@pytest.mark.parametrize(("time", "found"), [(9, False), (10, True)])
def test_it_must_fall_so_far_within_the_trajectory(time, found):
    assert bool(findings_of("vanishing", evidence_of({RNN: linear(0.5, time)}))) == found


def test_the_fall_is_an_option():
    evidence = evidence_of({RNN: linear(0.5, 20)})
    (finding,) = findings_of("vanishing", evidence, fall=math.log(15.9))
    assert finding.evidence["lag"] == 4
    assert findings_of("vanishing", evidence, fall=21 * math.log(2)) == []


def test_a_trajectory_must_have_some_steps():
    evidence = evidence_of({RNN: linear(0.1, 8)})
    assert findings_of("vanishing", evidence, steps=8)
    assert findings_of("vanishing", evidence, steps=9) == []


def test_depth_has_remedies_of_its_own():
    place = Place("blocks", "modulelist", along_depth=True)
    (finding,) = findings_of("vanishing", evidence_of({place: linear(0.01, 4)}))
    assert finding.remedies == ("residual", "layer_norm")
    assert "4 layers" in finding.says


def test_the_whole_loss_may_move_early_states_by_other_ways():
    trace = linear(0.5, 20)
    everywhere = trace.with_losses_of(Adjoints(torch.ones_like(trace.states)))
    (alone,) = findings_of("vanishing", evidence_of({RNN: trace}))
    (around,) = findings_of("vanishing", evidence_of({RNN: everywhere}))
    assert around.severity == pytest.approx(alone.severity / 2)
    assert around.evidence == pytest.approx(alone.evidence)
    assert "early states are moved by other ways" in around.says
    assert "early states are moved by other ways" not in alone.says


@pytest.mark.parametrize("every", [False, True])
def test_a_loss_at_every_step_makes_vanishing_milder(every):
    """What the last loss of an LSTM sends back vanishes either way."""
    build = simple(
        lambda: nn.LSTM(INPUT, HIDDEN),
        read=(lambda output: output) if every else (lambda output: output[-1]),
    )
    findings = build(7).diagnose().findings
    (finding,) = [finding for finding in findings if finding.name == "vanishing"]
    assert ("early states are moved by other ways" in finding.says) == every
    lag, steps = finding.evidence["lag"], 60
    assert finding.severity == pytest.approx(
        (0.3 + 0.7 * (1 - lag / steps)) * (0.5 if every else 1.0)
    )
