"""Batch taken for time."""

import pytest
import torch

from tests.findings.conftest import RNN, evidence_of, findings_of, linear


def scored(steps, sequences, batch=4):
    """A loss at these steps of these sequences."""
    trace = linear(1.0, 5, batch=batch)
    immediate = torch.zeros_like(trace.states)
    for step in steps:
        immediate[step, list(sequences)] = 1.0
    heard = trace.with_losses_of(type(trace.immediate)(immediate))
    return findings_of("axes_swapped", evidence_of({RNN: heard}))


def test_one_sequence_with_a_loss_at_every_step():
    (finding,) = scored(range(1, 6), [2])
    assert "only sequence 2 of 4 has a loss" in finding.says


@pytest.mark.parametrize(
    ("steps", "sequences", "batch"),
    [([5], [2], 4), (range(1, 6), [1, 2], 4), (range(2, 6), [2], 4), (range(1, 6), [1], 2)],
    ids=["one step", "two sequences", "all steps but one", "a batch of two"],
)
def test_other_losses(steps, sequences, batch):
    assert scored(steps, sequences, batch) == []
