"""The temporal order problem."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradscope.tasks import TASKS
from tests.tasks._draw import generator, sample


@given(st.integers(10, 120), st.sampled_from([2, 3]), st.integers(0, 1000))
def test_positions_and_classes(length, symbols, seed):
    _, batch = sample({"name": "temporal_order", "length": length, "symbols": symbols}, seed)
    ranges = {2: [(0.1, 0.2), (0.5, 0.6)], 3: [(0.1, 0.2), (0.3, 0.4), (0.6, 0.7)]}[symbols]
    for column in range(20):
        positions = (batch.inputs[:, column] >= 4).nonzero().flatten().tolist()
        assert len(positions) == symbols
        for position, (low, high) in zip(positions, ranges, strict=True):
            assert int(low * length + 1e-9) <= position < max(high * length, int(low * length) + 1)
        values = [int(batch.inputs[p, column]) - 4 for p in positions]
        assert int(batch.targets[0, column]) == sum(v << place for place, v in enumerate(values))


def test_many_lengths_are_all_used():
    task = TASKS.make({"name": "temporal_order", "length": 10, "max_length": 14})
    source = generator()
    assert {task.sample(1, source).time for _ in range(200)} == {10, 11, 12, 13, 14}
    assert task.at_length(30).sample(1, source).time == 30


def test_baselines_in_closed_form():
    assert TASKS.make("temporal_order").baseline == pytest.approx(math.log(4))
    three = TASKS.make({"name": "temporal_order", "symbols": 3})
    assert three.baseline == pytest.approx(math.log(8))
