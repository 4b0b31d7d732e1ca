"""Parity of a bit string."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.tasks._draw import sample


@given(st.integers(0, 500))
def test_every_bit_is_counted(seed):
    _, last = sample({"name": "parity", "length": 11}, seed)
    _, every = sample({"name": "parity", "length": 11, "every_step": True}, seed)
    assert torch.equal(last.targets[0], last.inputs.sum((0, 2)).long() % 2)
    assert torch.equal(every.targets[-1], last.targets[0])
    assert torch.equal(every.targets[0], every.inputs[0, :, 0].long())
    for t in range(1, 11):
        flipped = every.targets[t] != every.targets[t - 1]
        assert torch.equal(flipped, every.inputs[t, :, 0] == 1)
