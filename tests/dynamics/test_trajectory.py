"""A trajectory as its step Jacobians, a few at a time."""

import pytest
import torch

from gradscope.dynamics import step_jacobians, unroll
from gradscope.dynamics.trajectory import (
    as_trajectory,
    check_run,
    device_of,
    extent,
    part,
    random_frame,
    step_by_step,
)
from gradscope.errors import GradscopeError
from tests.conftest import build, draw


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("held_bytes", [1, 3000, 2**21])
def test_step_by_step_is_all_of_them(masked, forward, held_bytes, monkeypatch):
    """Whether made one at a time, a few, or all; reversed and transposed in reverse time."""
    monkeypatch.setattr("gradscope.dynamics.trajectory._CHUNK", held_bytes)
    jacobians = step_jacobians(masked)
    expected = jacobians if forward else jacobians.flip(0).mT
    for trajectory in (masked, jacobians):
        steps = list(step_by_step(trajectory, forward=forward))
        torch.testing.assert_close(torch.stack(steps), expected, rtol=0, atol=1e-15)


def test_parts_and_extent():
    trace = unroll(build("lstm"), draw(9, 2, 3))
    jacobians = step_jacobians(trace)
    for trajectory in (trace, jacobians):
        assert extent(trajectory) == (9, 2, 8)
        assert extent(part(trajectory, 2, 6)) == (4, 2, 8)
        assert device_of(trajectory) == torch.device("cpu")
        torch.testing.assert_close(
            torch.stack(list(step_by_step(part(trajectory, 2, 6)))), jacobians[2:6]
        )


def test_frames_are_orthonormal_and_drawn_by_their_seed():
    cpu = torch.device("cpu")
    frame = random_frame(3, 6, 4, 7, cpu)
    identity = torch.eye(4, dtype=torch.float64).expand(3, 4, 4)
    torch.testing.assert_close(frame.mT @ frame, identity)
    assert torch.equal(frame, random_frame(3, 6, 4, 7, cpu))
    assert not torch.equal(frame, random_frame(3, 6, 4, 8, cpu))
    assert torch.equal(frame[0], frame[1])  # a sequence begins as it would alone
    assert torch.equal(frame[:1], random_frame(1, 6, 4, 7, cpu))


def test_a_tensor_without_a_batch_is_one_sequence():
    jacobians = draw(9, 4, 4)
    given = as_trajectory(jacobians)
    assert given.shape == (9, 1, 4, 4)
    assert as_trajectory(jacobians[:, None]).shape == (9, 1, 4, 4)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([[1.0]], "a trace or a tensor of step Jacobians is needed, got list"),
        (torch.ones(4, 4), r"\(time, batch, state, state\).*got \(4, 4\)"),
        (torch.ones(9, 2, 4, 3), r"got \(9, 2, 4, 3\)"),
        (torch.ones(0, 2, 4, 4), r"at least one of each; got \(0, 2, 4, 4\)"),
        (torch.ones(3, 0, 4, 4), "at least one of each"),
        (torch.ones(3, 1, 4, 4, dtype=torch.int64), r"float64 or float32, got torch\.int64"),
        (torch.ones(3, 1, 4, 4, dtype=torch.complex128), "float64 or float32"),
        (torch.ones(3, 1, 4, 4).index_fill(0, torch.tensor([1]), torch.nan), "at t = 2 is not fin"),
        (torch.ones(3, 1, 4, 4).index_fill(0, torch.tensor([2]), torch.inf), "at t = 3 is not fin"),
    ],
)
def test_what_is_no_trajectory_is_refused(given, message):
    with pytest.raises(GradscopeError, match=message):
        as_trajectory(given)


def test_jacobians_that_are_not_finite_are_named_by_their_step(monkeypatch):
    trace = unroll(build("rnn"), draw(9, 2, 3))
    monkeypatch.setattr("gradscope.dynamics.trajectory._CHUNK", 1)
    trace.states.data[5] = torch.nan
    with pytest.raises(GradscopeError, match="at t = 5 is not finite"):
        list(step_by_step(trace))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, r"k should be 1\.\.5"),
        ({"k": 6}, r"k should be 1\.\.5"),
        ({"burn_in": 10}, "leaves nothing of a trajectory of 10"),
        ({"burn_in": -1}, "leaves nothing"),
        ({"interval": 0}, "interval should be at least 1"),
        ({"blocks": 0}, "blocks should be at least 1"),
    ],
)
def test_runs_that_do_not_fit_are_refused(arguments, message):
    fitting = {"time": 10, "size": 5, "k": 5, "burn_in": 9, "interval": 1, "blocks": 1}
    check_run(**fitting)
    with pytest.raises(GradscopeError, match=message):
        check_run(**{**fitting, **arguments})
