"""Backpropagation cut off while the gradient is alive."""

import pytest

from tests.findings.conftest import RNN, evidence_of, findings_of, linear


@pytest.mark.parametrize(("gain", "found"), [(0.9, True), (0.5, False)])
def test_what_is_alive_where_the_window_begins(gain, found):
    """0.9^6 = 0.53 and 0.5^6 = 0.016: above and below a fifth."""
    findings = findings_of("truncated_early", evidence_of({RNN: linear(gain, 6)}, carried=[RNN]))
    assert bool(findings) == found
    if found:
        assert findings[0].evidence["left"] == pytest.approx(0.9**6)
        assert findings[0].evidence["window"] == 6


def test_a_state_that_was_not_carried_is_no_cut():
    assert findings_of("truncated_early", evidence_of({RNN: linear(0.9, 6)})) == []


def test_the_share_is_an_option():
    evidence = evidence_of({RNN: linear(0.9, 6)}, carried=[RNN])
    assert findings_of("truncated_early", evidence, left=0.54) == []
    assert findings_of("truncated_early", evidence, left=0.52)


def test_states_detached_at_every_step_are_another_finding():
    places = [RNN.in_stretch(index, 3) for index in range(3)]
    evidence = evidence_of({place: linear(0.9, 2) for place in places}, carried=places[1:])
    assert findings_of("truncated_early", evidence) == []
    assert findings_of("detached_steps", evidence)
