"""One state for all sequences."""

import pytest
import torch

from gradscope.dynamics import Trace
from tests.conftest import build, draw
from tests.findings.conftest import RNN, evidence_of, findings_of


def spread_out(spread, batch=4, inputs=None):
    """Last states of length 1 that differ in one unit, with that standard deviation."""
    states = draw(6, batch, 4)
    states[-1] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    states[-1, :, 1] = spread * torch.tensor([1.0, -1.0] * (batch // 2)) * (3 / 4) ** 0.5
    x = draw(5, batch, 3) if inputs is None else inputs
    return evidence_of({RNN: Trace(build("rnn"), x, states)})


@pytest.mark.parametrize(("spread", "found"), [(5e-4, True), (2e-3, False)])
def test_a_thousandth_of_their_size(spread, found):
    findings = findings_of("collapsed_states", spread_out(spread))
    assert bool(findings) == found
    if found:
        assert findings[0].evidence["spread"] == pytest.approx(spread, rel=1e-3)


def test_the_level_is_an_option():
    assert findings_of("collapsed_states", spread_out(2e-3), level=3e-3)


def test_few_sequences_or_equal_inputs_say_nothing():
    assert findings_of("collapsed_states", spread_out(1e-9, batch=2)) == []
    equal = draw(5, 1, 3).expand(-1, 4, -1)
    assert findings_of("collapsed_states", spread_out(1e-9, inputs=equal)) == []
