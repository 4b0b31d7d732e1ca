"""Chains of calls of a module that takes one step each, and why they end."""

import pytest
import torch
from torch import nn

import gradscope
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


def test_an_evaluation_within_the_block_is_left_out():
    cell, x = nn.GRUCell(INPUT, HIDDEN), torch.randn(4, 2, INPUT)
    optimizer = torch.optim.SGD(cell.parameters(), lr=0.1)
    with recorded(cell) as recording:
        run(cell, x).sum().backward()
        optimizer.step()
        with torch.no_grad():
            run(cell, x)
        with torch.inference_mode():
            run(cell, x)
    assert [trace.time for trace in recording.traces.values()] == [4]
    assert "4 calls under torch.inference_mode() left out" in recording.notes[0]
    assert "4 of 8 calls were made without a gradient" in recording.notes[1]


@pytest.mark.parametrize("every", [1, 3])
def test_a_state_that_is_detached_every_few_steps(every):
    cell, h = nn.GRUCell(INPUT, HIDDEN), torch.zeros(2, HIDDEN)
    with recorded(cell) as recording:
        for index, step in enumerate(torch.randn(7, 2, INPUT)):
            h = cell(step, h.detach() if index and index % every == 0 else h)
        h.sum().backward()
    said = "at every step" if every == 1 else "every 3 steps"
    assert f"the state was detached {6 // every} times, {said}" in recording.notes[0]


def test_detached_states_are_counted():
    cell, h = nn.GRUCell(INPUT, HIDDEN), torch.zeros(2, HIDDEN)
    with recorded(cell) as recording:
        for index, step in enumerate(torch.randn(6, 2, INPUT)):
            h = cell(step, h.detach() if index == 3 else h)
        h.sum().backward()
    assert [trace.time for trace in recording.traces.values()] == [3, 3]
    assert "detached 1 time;" in recording.notes[0]
    assert recording.carried == {"grucell (2)"}


def test_detaching_in_place_works_as_without():
    cell, h = nn.GRUCell(INPUT, HIDDEN), None
    with recorded(cell) as recording:
        for index, step in enumerate(torch.randn(6, 2, INPUT)):
            h = cell(step, h)
            if index == 2:
                h.detach_()
        h.sum().backward()
    assert [trace.time for trace in recording.traces.values()] == [3, 3]


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


def test_two_chains_of_one_cell_at_a_time():
    cell, x = nn.GRUCell(INPUT, HIDDEN), torch.randn(6, 2, 2, INPUT)
    with recorded(cell) as recording:
        a = b = None
        for step in x:
            a, b = cell(step[0], a), cell(step[1], b)
        (a - b).square().sum().backward()
    assert [trace.time for trace in recording.traces.values()] == [6, 6]
    total = sum(gradscope.gradient(trace)["weight_hh"] for trace in recording.traces.values())
    torch.testing.assert_close(total, cell.weight_hh.grad, rtol=1e-4, atol=1e-6)
