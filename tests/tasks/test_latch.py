"""Latching one bit against noise."""

from hypothesis import given
from hypothesis import strategies as st

from tests.tasks._draw import sample


@given(st.integers(0, 500))
def test_the_class_is_said_three_times_and_noise_follows(seed):
    _, batch = sample({"name": "latch", "length": 30, "noise": 0.1}, seed)
    signs = 2.0 * batch.targets[0] - 1
    assert (batch.inputs[:3, :, 0] == signs).all()
    assert batch.inputs[3:].abs().max() < 0.6
    assert abs(float(batch.inputs[3:].std()) / 0.1 - 1) < 0.2
