"""A trajectory as its step Jacobians, a few at a time."""

import pytest
import torch

from gradscope.dynamics import step_jacobians, unroll
from gradscope.dynamics.trajectory import (
    check_run,
    device_of,
    extent,
    part,
    random_frame,
    rank_bound,
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


def test_rank_of_dead_units():
    full = draw(2, 5, 5)
    assert rank_bound(full) == 5
    dead = full.clone()
    dead[:, 1], dead[:, 3] = 0, 0
    assert rank_bound(dead) == 3 == int(torch.linalg.matrix_rank(dead).max())
    dead[0, :, 2:] = 0
    assert rank_bound(dead[:1]) == 2 == int(torch.linalg.matrix_rank(dead[0]))
    assert rank_bound(torch.zeros(1, 4, 4)) == 0


def test_rank_is_never_below_the_truth():
    for seed in range(10):
        matrix = draw(1, 6, 6, seed=seed) * (draw(1, 6, 6, seed=seed + 50) > 1)
        assert rank_bound(matrix) >= int(torch.linalg.matrix_rank(matrix[0]))


def test_frames_are_orthonormal_and_drawn_by_their_seed():
    cpu = torch.device("cpu")
    frame = random_frame(3, 6, 4, 7, cpu)
    identity = torch.eye(4, dtype=torch.float64).expand(3, 4, 4)
    torch.testing.assert_close(frame.mT @ frame, identity)
    assert torch.equal(frame, random_frame(3, 6, 4, 7, cpu))
    assert not torch.equal(frame, random_frame(3, 6, 4, 8, cpu))
    assert not torch.equal(frame[0], frame[1])


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
