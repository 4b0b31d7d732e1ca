"""The copy memory problem."""

import math

import pytest
import torch

from tests.tasks._draw import sample


@pytest.mark.parametrize(
    ("marker", "where"), [("arjovsky", [24]), ("tcn", list(range(24, 35))), ("exprnn", [25])]
)
def test_sequences_lie_as_each_source_has_them(marker, where):
    _, batch = sample({"name": "copy_memory", "length": 15, "marker": marker}, count=8)
    assert batch.time == 35
    assert ((batch.inputs == 9).nonzero()[:, 0].unique()).tolist() == where
    symbols = batch.inputs[:10]
    assert ((symbols >= 1) & (symbols <= 8)).all()
    assert torch.equal(batch.targets[-10:], symbols)
    assert (batch.targets[:-10] == 0).all()
    assert (batch.inputs[10:24] == 0).all()


def test_baseline_in_closed_form():
    task, _ = sample({"name": "copy_memory", "length": 15})
    assert task.baseline == pytest.approx(10 * math.log(8) / 35)


def test_only_the_ten_recalled_symbols_can_be_wrong():
    task, batch = sample({"name": "copy_memory", "length": 15}, count=2)
    outputs = torch.nn.functional.one_hot(batch.targets, 9).double()
    outputs[:-10] = 0
    outputs[:-10, :, 5] = 1
    outputs[-1, 1] = outputs[-1, 1].roll(1)
    assert task.wrong(outputs, batch.targets).tolist() == [False, True]
