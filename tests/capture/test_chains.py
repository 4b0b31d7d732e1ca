"""Calls that go on from each other's states, and where a chain of them ends."""

import pytest
import torch
from torch import nn

import gradscope
from tests.capture.conftest import recorded
from tests.capture.step_models import HIDDEN, INPUT
from tests.capture.test_step_calls import run


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
