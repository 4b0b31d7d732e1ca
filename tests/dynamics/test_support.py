"""The rank that a product loses exactly, sequence by sequence."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradscope.dynamics import unroll
from gradscope.dynamics.support import Support
from gradscope.dynamics.trajectory import step_by_step
from tests.conftest import build, draw


def followed(trajectory, forward=True):
    steps = list(step_by_step(trajectory, forward=forward))
    support = Support(len(steps[0]), steps[0].shape[-1], torch.device("cpu"))
    for step in steps:
        support.follow(step)
    return support


def product(jacobians):
    total = torch.eye(jacobians.shape[-1], dtype=jacobians.dtype)
    for jacobian in jacobians:
        total = jacobian @ total
    return total


def test_dense_steps_lose_nothing():
    support = followed(draw(8, 3, 5, 5))
    assert support.dense
    assert support.rank(draw(8, 3, 5, 5)).tolist() == [5, 5, 5]


def test_dead_units_are_those_of_each_sequence():
    jacobians = draw(6, 3, 5, 5)
    jacobians[2, 0, 1], jacobians[4, 0, 3] = 0, 0  # one at a time
    jacobians[3, 1, :3] = 0  # three at once
    for forward in (True, False):
        support = followed(jacobians, forward)
        assert support.rank(jacobians, forward=forward).tolist() == [4, 2, 5]


def test_a_delay_line_forgets_what_it_held_whatever_feeds_it():
    """[core, line]: after four steps the line holds nothing but what the core has sent."""
    matrix = torch.zeros(7, 7, dtype=torch.float64)
    matrix[:3, :3] = draw(3, 3)
    matrix[3, 0] = 1.0
    matrix[4:, 3:6] = torch.eye(3)
    steps = matrix.expand(20, 1, 7, 7)
    assert followed(steps[:2]).rank(steps[:2]).tolist() == [5]
    assert followed(steps).rank(steps).tolist() == [3]
    assert int(torch.linalg.matrix_rank(product(steps[:, 0]))) == 3
    alone = torch.diag(torch.ones(3, dtype=torch.float64), -1).expand(10, 1, 4, 4)
    assert followed(alone).rank(alone).tolist() == [0]


@given(
    time=st.integers(1, 5), size=st.integers(1, 5), zeros=st.floats(0, 0.9), seed=st.integers(0, 99)
)
def test_never_below_the_truth(time, size, zeros, seed):
    """Against the rank of the product itself, of matrices with zeros anywhere."""
    generator = torch.Generator().manual_seed(seed)
    jacobians = draw(time, 2, size, size, seed=seed)
    jacobians = jacobians * (torch.rand(jacobians.shape, generator=generator) >= zeros)
    bound = followed(jacobians).rank(jacobians)
    backward = followed(jacobians, forward=False).rank(jacobians, forward=False)
    for sequence in range(2):
        rank = int(torch.linalg.matrix_rank(product(jacobians[:, sequence])))
        assert rank <= int(bound[sequence])
        assert rank <= int(backward[sequence])


@pytest.mark.parametrize("forward", [True, False])
def test_of_a_trace(forward):
    cell = build("rnn", 3, 6, activation="relu")
    cell.bias_ih.data[:2] = -100.0
    trace = unroll(cell, 0.1 + draw(10, 2, 3).abs())
    support = followed(trace, forward)
    assert not support.dense
    assert int(support.rank(trace, forward=forward).max()) <= 4
