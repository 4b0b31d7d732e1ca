"""A gradient that grows before it dies: a chain of units, each feeding the next."""

import math

import pytest
import torch

from gradscope.dynamics import Trace
from tests.conftest import build, draw
from tests.findings.conftest import RNN, evidence_of, findings_of, last_alone


def shear(factor, size=10, time=12):
    """h_t = a N h_{t-1} + W x_t, N the shift of ``size`` units: a^k, then exactly zero at k = size.

    The loss is of the last unit, so that all of it goes through the chain.
    """
    cell = build("rnn", hidden_size=size, activation="identity", bias=False)
    with torch.no_grad():
        cell.weight_hh.copy_(torch.diag(torch.full((size - 1,), factor), -1))
    inputs = draw(time, 3, 3)
    states = cell.scan(inputs, cell.initial_state(3)).detach()
    last = torch.zeros(3, size, dtype=torch.float64)
    last[:, -1] = 1.0
    trace = Trace(cell, inputs, states)
    return evidence_of({RNN: trace.with_losses_of(last_alone(trace, last))})


def test_it_rises_to_the_end_of_the_chain():
    (finding,) = findings_of("transient_growth", shear(1.5))
    assert finding.evidence["lag"] == 9
    assert finding.evidence["growth_nats"] == pytest.approx(9 * math.log(1.5))


@pytest.mark.parametrize("factor", [1.2, 3.0])
def test_less_than_a_factor_of_ten_is_none_and_a_thousand_is_an_explosion(factor):
    """1.2^9 = 5.2 and 3^9 = 19683."""
    assert findings_of("transient_growth", shear(factor)) == []
    assert bool(findings_of("exploding", shear(factor))) == (factor == 3.0)


def test_what_is_still_large_at_the_end_is_none():
    assert findings_of("transient_growth", shear(1.5, size=20)) == []
