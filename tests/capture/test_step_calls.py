"""Chains of calls of a module that takes one step each, and why they end."""

import pytest
import torch
from torch import nn

import gradscope
from gradscope.errors import GradscopeError
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


def test_a_state_made_of_the_one_that_went_out_is_named():
    cell = nn.GRUCell(INPUT, HIDDEN)
    with recorded(cell) as recording:
        run(cell, torch.randn(4, 2, INPUT), lambda h: h * 0.5).sum().backward()
    assert len(recording.traces) == 4
    assert recording.carried == set()
    assert "3 times the state that came in was not the one that had gone out" in recording.notes[0]
    assert "name it in steps=" in recording.notes[0]


def test_a_state_changed_in_place_is_refused():
    cell, x = nn.GRUCell(INPUT, HIDDEN), torch.randn(4, 2, INPUT)
    with (
        pytest.raises(GradscopeError, match="changed in place between two calls"),
        recorded(cell),
        torch.no_grad(),
    ):
        run(cell, x, lambda h: h.mul_(0.5))


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

    with pytest.raises(GradscopeError, match="record one update at a time"), recorded(cell):
        [update() for _ in range(2)]


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
