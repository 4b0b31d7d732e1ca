"""Recurrence: what the checks ask of a recorded recurrence, in closed form."""

import math

import numpy as np
import pytest
import torch

from gradscope.dynamics import Adjoints, Trace
from gradscope.findings._recurrence import _driven_on
from tests.conftest import build, draw
from tests.findings.conftest import RNN, evidence_of, last_alone, linear


def recurrence_of(trace):
    (recurrence,) = evidence_of({RNN: trace}).recurrences
    return recurrence


@pytest.mark.parametrize("gain", [0.5, 1.0, 3.0])
def test_what_the_last_loss_sends_back(gain):
    recurrence = recurrence_of(linear(gain, 10))
    expected = np.arange(11)[:, None] * math.log(gain) * np.ones((1, 3))
    np.testing.assert_allclose(recurrence.reach, expected, atol=1e-9)
    assert recurrence.sent == "what the last loss sends back along it"


def test_without_a_backward_pass_it_is_of_a_random_direction():
    recurrence = recurrence_of(linear(0.5, 10, heard=False))
    expected = np.arange(11)[:, None] * math.log(0.5) * np.ones((1, 3))
    np.testing.assert_allclose(recurrence.reach, expected, atol=1e-9)
    assert recurrence.sent == "a gradient of random direction"
    assert recurrence.total is None
    assert recurrence.scored is None
    assert not recurrence.is_heard


def test_losses_before_the_last_one_do_not_count():
    trace = linear(0.5, 10)
    everywhere = trace.with_losses_of(Adjoints(torch.ones_like(trace.states)))
    np.testing.assert_allclose(
        recurrence_of(everywhere).reach[:, 0], np.arange(11) * math.log(0.5), atol=1e-9
    )


def test_a_loss_in_the_middle_is_looked_back_from():
    trace = linear(0.5, 10)
    immediate = torch.zeros_like(trace.states)
    immediate[6, 1] = 1.0  # of one sequence
    recurrence = recurrence_of(trace.with_losses_of(Adjoints(immediate)))
    np.testing.assert_allclose(recurrence.reach, np.arange(7)[:, None] * math.log(0.5), atol=1e-9)
    assert recurrence.scored.nonzero().tolist() == [[6, 1]]
    assert recurrence.is_heard


def test_a_loss_of_nothing_sends_nothing():
    trace = linear(0.5, 10)
    recurrence = recurrence_of(trace.with_losses_of(Adjoints(torch.zeros_like(trace.states))))
    assert recurrence.reach is None
    assert not recurrence.is_heard


def test_beyond_a_sequences_beginning_there_is_nothing():
    trace = linear(0.5, 6)
    mask = torch.ones(6, 3, dtype=torch.bool)
    mask[:4, 1] = False  # the second sequence takes two steps
    masked = Trace(trace.cell, trace.inputs, trace.states, mask=mask)
    recurrence = recurrence_of(masked.with_losses_of(last_alone(trace)))
    assert recurrence.lengths.tolist() == [6, 2, 6]
    assert recurrence.whole.tolist() == [True, False, True]
    assert np.isnan(recurrence.reach[:, 1]).tolist() == [False] * 3 + [True] * 4
    np.testing.assert_allclose(recurrence.reach[:3, 1], np.arange(3) * math.log(0.5), atol=1e-9)
    assert not np.isnan(recurrence.reach[:, [0, 2]]).any()


@pytest.mark.parametrize("gain", [0.8, 1.05])
def test_the_largest_exponent_of_an_orthogonal_matrix(gain):
    exponent = recurrence_of(linear(gain, 60)).exponent
    assert exponent.value == pytest.approx(math.log(gain), abs=1e-6)
    assert exponent.error < 1e-6


def test_there_is_no_exponent_of_a_short_trajectory():
    assert recurrence_of(linear(1.0, 49)).exponent is None


def test_gates_that_are_shut():
    cell = build("lstm")
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.bias_ih[4:8] = math.log(0.1 / 0.9)  # f = 0.1 everywhere; i = o = 1/2
    inputs = draw(5, 3, 3)
    states = cell.scan(inputs, cell.initial_state(3)).detach()
    recurrence = recurrence_of(Trace(cell, inputs, states))
    shut = recurrence.shut("f", 0.15)
    assert shut.mean == pytest.approx(0.1)
    assert shut.confidence == 4 / 5  # (3 + 1) / (3 + 2)
    assert recurrence.shut("f", 0.05) is None
    assert recurrence.shut("i", 0.15) is None
    assert recurrence.shut("z", 0.15) is None  # an LSTM has none


def test_steps_of_depth_are_layers():
    assert recurrence_of(linear(1.0, 5)).unit == "steps"
    trace = linear(1.0, 5)
    place = RNN.__class__("rnn", "modulelist", along_depth=True)
    evidence = evidence_of({place: trace})
    assert evidence.recurrences[0].unit == "layers"
    assert evidence.in_time == []


def test_a_trajectory_is_driven_on_by_the_others_inputs():
    trace = linear(0.5, 6, heard=False)
    long = _driven_on(trace, 16)
    assert long.time == 18
    assert torch.equal(long.inputs[6:12], trace.inputs[:, [1, 2, 0]])
    assert torch.equal(long.inputs[12:], trace.inputs[:, [2, 0, 1]])
    torch.testing.assert_close(
        long.states, trace.cell.scan(long.inputs, trace.states[0]), rtol=0, atol=0
    )
    assert _driven_on(trace, 6) is trace


def test_a_trajectory_that_leaves_all_bounds_stays_as_it_is():
    trace = linear(10.0, 60, heard=False)
    assert trace.states.isfinite().all()
    assert _driven_on(trace, 1000) is trace
