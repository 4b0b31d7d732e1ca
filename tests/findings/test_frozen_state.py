"""A state that stands still while the inputs change."""

import pytest
import torch

from gradscope.dynamics import Trace
from tests.conftest import build, draw
from tests.findings.conftest import RNN, evidence_of, findings_of


def moving(change, inputs=None):
    """A state of one unit whose size is near 1 and which changes by ``change`` a step."""
    states = 1 + change * torch.arange(9, dtype=torch.float64)[:, None, None].expand(-1, 3, 1)
    x = draw(8, 3, 3) if inputs is None else inputs
    return evidence_of({RNN: Trace(build("rnn", hidden_size=1), x, states.clone())})


@pytest.mark.parametrize(("change", "found"), [(9e-5, True), (1.1e-4, False)])
def test_a_ten_thousandth_a_step(change, found):
    findings = findings_of("frozen_state", moving(change))
    assert bool(findings) == found
    if found:
        assert findings[0].evidence["change"] == pytest.approx(change, rel=1e-2)
        assert findings[0].confidence == (3 + 1) / (3 + 2)


def test_the_level_is_an_option():
    assert findings_of("frozen_state", moving(1.1e-4), level=1e-3)


def test_inputs_that_stand_still_excuse_it():
    assert findings_of("frozen_state", moving(0.0, draw(1, 3, 3).expand(8, -1, -1))) == []


def test_what_moves_in_the_beginning_may_stand_still_later():
    """It moves in five steps of eight, but in three of the last six alone."""
    changes = torch.tensor([0.0, 1, 1, 1, 1, 1, 0, 0, 0], dtype=torch.float64)
    states = (1 + changes.cumsum(0))[:, None, None].expand(-1, 3, 1).clone()
    trace = Trace(build("rnn", hidden_size=1), draw(8, 3, 3), states)
    assert findings_of("frozen_state", evidence_of({RNN: trace}))
