"""The multiplication problem."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.tasks._draw import sample


@given(st.integers(2, 30), st.integers(0, 500))
def test_the_answer_is_the_product_of_two_marked_numbers_one_in_each_half(length, seed):
    _, batch = sample({"name": "multiplication", "length": length}, seed)
    values, marks = batch.inputs.unbind(-1)
    marked = torch.where(marks > 0, values, torch.ones(())).prod(0)
    assert (marks.sum(0) == 2).all()
    assert (marks[: length // 2].sum(0) == 1).all()
    torch.testing.assert_close(batch.targets[0, :, 0], marked)


def test_thirteen_in_2560_may_be_wrong():
    task, _ = sample("multiplication")
    targets = torch.zeros(1, 2, 1)
    assert task.wrong(torch.tensor([0.039, -0.041]).view(1, 2, 1), targets).tolist() == [
        False,
        True,
    ]
    assert task.solved(1.0, 13 / 2560)
    assert not task.solved(0.0, 14 / 2560)
