"""What the tests of dynamics share: a trace of sequences of several lengths."""

import pytest
import torch
from torch import Tensor

from gradscope.cells import Cell
from gradscope.dynamics import Trace
from tests.conftest import build, draw

#: steps that each sequence of a masked trace takes
LENGTHS = [7, 4, 1]


def mask_of(lengths: list[int], time: int) -> Tensor:
    """Sequences are held at their beginning."""
    return torch.arange(time)[:, None] >= time - torch.tensor(lengths)


def held(cell: Cell, inputs: Tensor, mask: Tensor) -> Tensor:
    """All states, one step at a time; a state stays as it is where the mask is false."""
    states = [cell.initial_state(inputs.shape[1])]
    for x, taken in zip(inputs, mask, strict=True):
        states.append(torch.where(taken[:, None], cell(x, states[-1]), states[-1]))
    return torch.stack(states)


def masked_trace(name: str) -> Trace:
    """A trace of a cell over sequences of ``LENGTHS``."""
    cell, time = build(name), max(LENGTHS)
    inputs, mask = draw(time, len(LENGTHS), 3), mask_of(LENGTHS, time)
    states = held(cell, inputs, mask).detach().requires_grad_()
    return Trace(cell, inputs, states, mask=mask)


def linear_cell(matrix: Tensor, inputs: int = 2) -> Cell:
    """s_t = W s_{t-1} + W_ih x_t with this W."""
    cell = build("rnn", inputs, matrix.shape[0], activation="identity", bias=False)
    cell.weight_hh.data = matrix
    return cell


def repeated(matrix: Tensor, time: int) -> Tensor:
    """Step Jacobians that are all this matrix."""
    return matrix.expand(time, 1, *matrix.shape)


@pytest.fixture(params=["gru", "lstm", "mgu"])
def masked(request: pytest.FixtureRequest) -> Trace:
    """Of cells with a closed form and without one."""
    return masked_trace(request.param)
