"""A state detached at every step."""

import pytest
import torch
from torch import nn

import gradscope
from tests.findings.conftest import RNN, evidence_of, findings_of, linear, names_of


@pytest.mark.parametrize(("longest", "pace"), [(1, "at every step"), (2, "every 2 steps")])
def test_the_pace_is_said_once_for_all_stretches(longest, pace):
    places = [RNN.in_stretch(index, 4) for index in range(4)]
    traces = {place: linear(1.0, longest) for place in places}
    (finding,) = findings_of("detached_steps", evidence_of(traces, carried=places[1:]))
    assert finding.where == "rnn"
    assert pace in finding.says
    assert finding.evidence == {"stretches": 4.0, "steps": float(longest)}


def test_stretches_that_hand_nothing_on_are_none():
    places = [RNN.in_stretch(index, 4) for index in range(4)]
    assert findings_of("detached_steps", evidence_of({p: linear(1.0, 1) for p in places})) == []


def test_a_masked_state_is_not_called_detached():
    cell, h = nn.GRUCell(4, 5), torch.zeros(4, 5)
    scope = gradscope.attach(cell)
    with scope.record() as recording:
        for step in torch.randn(9, 4, 4):
            h = cell(step, h) * 0.9
        h.sum().backward()
    assert recording.carried == set()
    diagnosis = scope.diagnose()
    assert "detached_steps" not in names_of(diagnosis.findings)
    assert [trace.time for trace in recording.traces.values()] == [9]
