"""The random permutation problem."""

import torch

from tests.tasks._draw import sample


def test_the_first_of_many_symbols_is_asked_for():
    _, batch = sample({"name": "random_permutation", "length": 30}, count=200)
    assert torch.equal(batch.inputs[0], batch.targets[0])
    assert set(batch.targets[0].tolist()) == {0, 1}
    assert batch.inputs[1:].min() >= 2
    assert batch.inputs.max() == 99
