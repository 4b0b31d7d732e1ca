"""Influence balancing."""

import pytest

from tests.tasks._draw import sample


def test_influence_is_positive_near_and_negative_far():
    _, batch = sample({"name": "influence_balancing", "length": 12, "lag": 4}, count=1)
    x = batch.inputs[:, 0, 0]
    for t in range(12):
        near, far = x[max(0, t - 3) : t + 1].sum(), x[: max(0, t - 3)].sum()
        assert float(batch.targets[t, 0, 0]) == pytest.approx(
            float(0.4 * near - 0.6 * far) / 12, abs=1e-6
        )


def test_baseline_by_hand():
    """T = 2, lag 1: y_1 = .4 x_1 / 2, y_2 = (.4 x_2 - .6 x_1) / 2, the inputs' variance 1."""
    task, _ = sample({"name": "influence_balancing", "length": 2, "lag": 1})
    assert task.baseline == pytest.approx((0.16 + 0.16 + 0.36) / 4 / 2)
