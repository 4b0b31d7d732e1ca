"""The flip-flop of several bits."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.tasks._draw import sample


@given(st.integers(0, 500))
def test_the_last_pulse_is_held(seed):
    spec = {"name": "flip_flop", "length": 25, "channels": 2, "rate": 0.3}
    _, batch = sample(spec, seed, count=5)
    held = torch.zeros(5, 2)
    for pulse, target in zip(batch.inputs, batch.targets, strict=True):
        held = torch.where(pulse != 0, pulse, held)
        assert torch.equal(held, target)


def test_pulses_come_at_their_rate_with_either_sign():
    spec = {"name": "flip_flop", "length": 50, "channels": 2, "rate": 0.3}
    _, batch = sample(spec, count=1000)
    assert float((batch.inputs != 0).double().mean()) == pytest.approx(0.3, abs=0.01)
    assert float(batch.inputs.double().mean()) == pytest.approx(0.0, abs=0.01)


def test_baseline_at_rate_one_is_the_number_of_channels():
    """Every step has a pulse of +1 or -1, so answering 0 misses by 1 in each channel."""
    task, _ = sample({"name": "flip_flop", "channels": 3, "rate": 1.0})
    assert task.baseline == 3
