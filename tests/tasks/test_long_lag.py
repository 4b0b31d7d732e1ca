"""Hochreiter and Schmidhuber's long time lag problems."""

import pytest
import torch

from tests.tasks._draw import sample


@pytest.mark.parametrize("distractors", ["known", "random"])
def test_the_first_symbol_is_asked_for(distractors):
    _, batch = sample({"name": "long_lag", "length": 9, "distractors": distractors})
    assert torch.equal(batch.inputs[0] - 8, batch.targets[0])
    between = batch.inputs[1:]
    assert between.max() < 8
    assert (between == between[:, :1]).all() == (distractors == "known")
    assert batch.steps.tolist() == [8]


def test_a_smaller_alphabet_repeats_the_known_sequence():
    task, batch = sample({"name": "long_lag", "length": 9, "alphabet_size": 3})
    assert task.input_size == 5
    assert batch.inputs[1:, 0].tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert torch.equal(batch.inputs[0] - 3, batch.targets[0])
