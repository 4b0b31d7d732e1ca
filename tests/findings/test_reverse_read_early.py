"""The reverse direction read where it has read one input."""

import pytest
import torch

from gradscope.capture import Place
from gradscope.dynamics import Trace
from tests.findings.conftest import evidence_of, findings_of, linear

REVERSE = Place("rnn", "gru", 0, reverse=True)


def heard_at(*steps, place=REVERSE, mask=None):
    """A loss of one step of each sequence, in the order of reading."""
    trace = linear(1.0, 5)
    immediate = torch.zeros_like(trace.states)
    for sequence, step in enumerate(steps):
        immediate[step, sequence] = 1.0
    masked = Trace(trace.cell, trace.inputs, trace.states, mask=mask)
    heard = masked.with_losses_of(type(trace.immediate)(immediate))
    return findings_of("reverse_read_early", evidence_of({place: heard}))


@pytest.mark.parametrize(("steps", "found"), [((1, 1, 1), True), ((1, 1, 2), False)])
def test_after_one_step_only(steps, found):
    assert bool(heard_at(*steps)) == found


def test_the_forward_direction_is_not_meant():
    assert heard_at(1, 1, 1, place=Place("rnn", "gru", 0)) == []


def test_short_sequences_begin_later():
    """Held for two steps, a sequence has read one input at the third."""
    mask = torch.ones(5, 3, dtype=torch.bool)
    mask[:2, 2] = False
    assert heard_at(1, 1, 3, mask=mask)
    assert heard_at(1, 1, 4, mask=mask) == []
