"""Chains of calls of a module that takes one step each, and why they end."""

import torch
from torch import nn

from tests.capture.conftest import recorded
from tests.capture.step_models import HIDDEN, INPUT


def run(cell, x, change=lambda h: h):
    h = torch.zeros(2, HIDDEN)
    for step in x:
        h = change(cell(step, h))
    return h


def test_an_unbroken_chain_is_one_recurrence():
    cell = nn.GRUCell(INPUT, HIDDEN)
    with recorded(cell) as recording:
        run(cell, torch.randn(4, 2, INPUT)).sum().backward()
    assert [trace.time for trace in recording.traces.values()] == [4]
    assert recording.notes == []


def test_without_a_gradient_what_lies_between_cannot_be_followed():
    cell, x = nn.GRUCell(INPUT, HIDDEN), torch.randn(4, 2, INPUT)
    with recorded(cell) as recording, torch.no_grad():
        run(cell, x, lambda h: h.mul_(0.5))
    assert len(recording.traces) == 4
    assert "made without a gradient" in recording.notes[0]
    with recorded(cell) as recording, torch.no_grad():
        run(cell, x)
    assert [trace.time for trace in recording.traces.values()] == [4]


def test_weights_that_change_within_the_block_are_named():
    cell = nn.GRUCell(INPUT, HIDDEN)
    optimizer = torch.optim.SGD(cell.parameters(), lr=0.1)

    def update():
        cell(torch.randn(2, INPUT)).sum().backward()
        optimizer.step()

    with recorded(cell) as recording:
        [update() for _ in range(3)]
    assert len(recording.traces) == 1
    assert "2 later calls are left out: record one update at a time" in recording.notes[0]
