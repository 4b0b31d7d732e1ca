"""What the unit of a probe's work takes."""

import torch

from gradscope.cells import CELLS
from gradscope.dynamics import Trace
from gradscope.probes import decomposition_seconds


def test_it_is_measured_once_for_each_size():
    def trace(size):
        cell = CELLS.make({"name": "rnn", "hidden_size": size}).build(2)
        inputs = torch.zeros(3, 1, 2)
        return Trace(cell, inputs, cell.scan(inputs, cell.initial_state(1)).detach())

    small, large = decomposition_seconds(trace(2)), decomposition_seconds(trace(300))
    assert 0 < small < large
    assert decomposition_seconds(trace(2)) == small
