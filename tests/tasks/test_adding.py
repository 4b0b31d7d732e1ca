"""The adding problem in its three forms."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradscope.tasks import TASKS
from tests.tasks._draw import sample


@given(st.integers(2, 40), st.sampled_from(["uniform", "halves"]), st.integers(0, 1000))
def test_two_numbers_are_marked_and_their_sum_is_asked_for(length, placement, seed):
    _, batch = sample({"name": "adding", "length": length, "placement": placement}, seed, 30)
    values, marks = batch.inputs.unbind(-1)
    assert (marks.sum(0) == 2).all()
    assert (marks[: length // 2].sum(0) == 1).all() or placement == "uniform"
    torch.testing.assert_close(batch.targets[0, :, 0], (values * marks).sum(0))


def test_uniform_marks_every_pair_alike():
    _, batch = sample({"name": "adding", "length": 4, "placement": "uniform"}, count=24_000)
    pairs = torch.stack([column.nonzero().flatten() for column in batch.inputs[..., 1].T])
    counts = torch.bincount(pairs[:, 0] * 4 + pairs[:, 1], minlength=16)
    assert (counts[counts > 0] - 4000).abs().max() < 300
    assert (counts > 0).sum() == 6


@given(st.integers(10, 200), st.integers(0, 1000))
def test_as_pascanu_has_it(length, seed):
    _, batch = sample({"name": "adding", "length": length, "placement": "pascanu"}, seed)
    time = batch.time
    assert length <= time < max(1.1 * length, length + 1)
    marks, values = batch.inputs.unbind(-1)
    for column in range(20):
        first, second = marks[:, column].nonzero().flatten().tolist()
        assert first < time // 10 <= second < time // 2
    torch.testing.assert_close(batch.targets[0, :, 0], (values * marks).sum(0) / 2)


def test_criteria():
    pascanu, halves = (
        TASKS.make({"name": "adding", "length": 20, "placement": placement})
        for placement in ("pascanu", "halves")
    )
    targets = torch.zeros(1, 3, 1)
    outputs = torch.tensor([0.03, 0.1, 0.21]).view(1, 3, 1)
    assert pascanu.wrong(outputs, targets).tolist() == [False, False, True]
    assert halves.wrong(outputs, targets).tolist() == [False, True, True]
    assert pascanu.solved(0.02, 0.0)
    assert not pascanu.solved(0.0001, 0.0001)
    assert halves.solved(0.0099, 0.5)
    assert not halves.solved(0.0101, 0.0)


def test_baselines_in_closed_form():
    assert TASKS.make("adding").baseline == pytest.approx(1 / 6)
    assert TASKS.make({"name": "adding", "placement": "pascanu"}).baseline == pytest.approx(1 / 24)
