"""One sequence's share of the squared gradient."""

import pytest
import torch
from torch import nn

import gradscope
from tests.findings.conftest import (
    RNN,
    evidence_of,
    findings_of,
    last_alone,
    linear,
    names_of,
)


def shared(shares, heard=None):
    """Sequences whose squared gradients are as ``shares``; those beyond ``heard`` have no loss."""
    gradient = torch.zeros(len(shares), 4, dtype=torch.float64)
    gradient[:, 0] = torch.tensor(shares, dtype=torch.float64).sqrt()
    if heard is not None:
        gradient[heard:] = 0
    trace = linear(1.0, 5, batch=len(shares))
    return evidence_of({RNN: trace.with_losses_of(last_alone(trace, gradient))})


@pytest.mark.parametrize(("share", "found"), [(0.91, True), (0.89, False)])
def test_nine_tenths(share, found):
    rest = (1 - share) / 3
    findings = findings_of("one_sequence_rules", shared([rest, rest, share, rest]))
    assert bool(findings) == found
    if found:
        assert findings[0].evidence["share"] == pytest.approx(share)
        assert "sequence 2 alone makes up 91%" in findings[0].says


def test_the_share_is_an_option():
    assert findings_of("one_sequence_rules", shared([0.1, 0.1, 0.7, 0.1]), share=0.6)


def test_it_takes_four_sequences_with_a_loss():
    assert findings_of("one_sequence_rules", shared([0.97, 0.01, 0.01, 0.01], heard=3)) == []


@pytest.mark.parametrize("seed", range(4))
def test_stretches_of_one_step_are_judged_together(seed):
    """A state held by a mask between two calls of a cell: each call is a stretch of its own.

    One stretch may well be one sequence's.
    """
    torch.manual_seed(seed)
    cell, x = nn.GRUCell(4, 16), torch.randn(40, 8, 4)
    running = torch.arange(40)[:, None] < torch.randint(20, 41, (8,))
    scope, state = gradscope.attach(cell), torch.zeros(8, 16)
    kept = []
    with scope.record():
        for step, mask in zip(x, running, strict=True):
            state = torch.where(mask[:, None], cell(step, state), state)
            state.retain_grad()
            kept.append(state)
        nn.functional.linear(state, torch.randn(1, 16)).square().mean().backward()
    squares = torch.stack([state.grad for state in kept]).square().sum((0, 2))
    assert float(squares.max() / squares.sum()) < 0.9
    assert "one_sequence_rules" not in names_of(scope.diagnose().findings)
