"""Padding between the last real input and the loss."""

import pytest
import torch

from gradscope.capture import Place
from gradscope.dynamics import Trace
from tests.conftest import build, draw
from tests.findings.conftest import RNN, evidence_of, findings_of, last_alone


def padded(tails, time=10, place=RNN, mask=None, scored=None):
    """Sequences whose last inputs are zero, so many of each, and a loss of the last state."""
    inputs = draw(time, len(tails), 3)
    for sequence, tail in enumerate(tails):
        inputs[time - tail :, sequence] = 0
    trace = Trace(build("rnn"), inputs, draw(time + 1, len(tails), 4), mask=mask)
    immediate = last_alone(trace)
    if scored is not None:
        immediate.mantissa[scored] = 1.0
    return evidence_of({place: trace.with_losses_of(immediate)})


def test_many_sequences_end_in_padding():
    (finding,) = findings_of("read_after_padding", padded([0, 3, 5, 7]))
    assert "3 of 4 sequences end in a constant input" in finding.says
    assert finding.evidence == {"steps": 5.0}


@pytest.mark.parametrize(
    ("tails", "options", "found"),
    [
        ([0, 0, 0, 3], {}, False),  # a quarter of them
        ([0, 0, 0, 3], {"share": 0.2}, True),
        ([2, 2, 2, 2], {}, False),  # too short
        ([2, 2, 2, 2], {"steps": 2}, True),
        ([10, 10, 10, 10], {}, False),  # nothing else than padding: a constant input
    ],
)
def test_thresholds(tails, options, found):
    assert bool(findings_of("read_after_padding", padded(tails), **options)) == found


def test_where_the_lengths_are_told_or_other_steps_are_scored_it_is_none():
    tails = [0, 3, 5, 7]
    mask = torch.ones(10, 4, dtype=torch.bool)
    assert findings_of("read_after_padding", padded(tails, mask=mask)) == []
    assert findings_of("read_after_padding", padded(tails, scored=5)) == []
    for place in (Place("rnn", "gru", 0, reverse=True), Place("rnn", "gru", 1)):
        assert findings_of("read_after_padding", padded(tails, place=place)) == []
