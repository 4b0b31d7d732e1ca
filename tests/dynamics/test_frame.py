"""Columns carried along a trajectory: their growth at any size, rate and interval."""

import math

import pytest
import torch

from gradscope.dynamics.carriers import MatrixCarrier
from gradscope.dynamics.frame import Frame
from gradscope.dynamics.trajectory import random_frame
from tests.conftest import draw

CPU = torch.device("cpu")


def carried(jacobians, interval=None, k=None):
    """(growth in total, the frame)."""
    size = jacobians.shape[-1]
    frame = Frame(random_frame(jacobians.shape[1], size, k or size, 0, CPU), interval)
    total = torch.zeros(jacobians.shape[1], k or size, dtype=torch.float64)
    for t, jacobian in enumerate(jacobians, start=1):
        if frame.follow(MatrixCarrier(jacobian)) or t == len(jacobians):
            total = total + frame.growth()
    return total, frame


@pytest.mark.parametrize("interval", [None, 1, 7, 1000])
@pytest.mark.parametrize("log_size", [-690.0, -69.0, 0.0, 69.0, 690.0])
def test_nearly_equal_columns_of_any_size(log_size, interval):
    rotations = torch.linalg.qr(draw(40, 2, 5, 5))[0]
    total, frame = carried(math.exp(log_size) * rotations, interval)
    torch.testing.assert_close(total, torch.full_like(total, 40 * log_size), rtol=0, atol=1e-9)
    assert frame.known.all()
    assert frame.longest > 1 or interval == 1


@pytest.mark.parametrize("interval", [None, 1, 50])
@pytest.mark.parametrize("rate", [0.5, 3.0, 30.0, 200.0])
def test_columns_that_run_apart(rate, interval):
    """diag(1, e^-rate, e^-2 rate): its growth is known exactly."""
    sizes = torch.exp(-rate * torch.arange(3, dtype=torch.float64))
    steps = torch.diag(sizes).expand(60, 1, 3, 3)
    total, _ = carried(steps, interval)
    # the sum of the first i is that of the volume they span, which the start changes by a constant
    slow, _ = carried(steps[:30], 1)
    torch.testing.assert_close((total - slow)[0] / 30, sizes.log(), rtol=1e-9, atol=1e-9)


def test_unequal_sequences_are_each_as_they_are_alone():
    jacobians = draw(30, 4, 4, 4)
    jacobians[:, 0] *= 1e-30
    jacobians[:, 1] *= 1e30
    jacobians[5, 2] = 0
    jacobians[:, 3] = draw(4, 1) @ draw(1, 4, seed=3)
    total, frame = carried(jacobians)
    for sequence in range(4):
        alone, single = carried(jacobians[:, sequence : sequence + 1])
        alive = frame.alive()[sequence]
        assert torch.equal(alive, single.alive()[0])
        torch.testing.assert_close(total[sequence][alive], alone[0][alive])
    assert frame.alive().sum(-1).tolist() == [4, 4, 0, 1]


def test_nothing_is_left_of_zero():
    total, frame = carried(torch.zeros(5, 1, 3, 3, dtype=torch.float64))
    assert (total == -math.inf).all()
    assert not frame.alive().any()
