"""Direction: a recurrence's own time, and the caller's."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradscope.capture._directions import Direction
from gradscope.dynamics import Adjoints

CPU = torch.device("cpu")


def direction(lengths, reverse):
    steps = max(lengths)
    return Direction(steps, len(lengths), torch.tensor(lengths), reverse=reverse, device=CPU)


@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4), reverse=st.booleans())
def test_own_time_is_each_sequence_as_it_is_read_ending_at_the_last_step(lengths, reverse):
    steps, turn = max(lengths), direction(lengths, reverse)
    x = torch.arange(1.0, 1 + steps * len(lengths)).reshape(steps, len(lengths))
    own = turn.to_own(x[..., None])[..., 0]
    for index, length in enumerate(lengths):
        read = x[:length, index]
        assert torch.equal(own[steps - length :, index], read.flip(0) if reverse else read)
        assert not own[: steps - length, index].any()


@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4), reverse=st.booleans())
def test_there_and_back_again(lengths, reverse):
    steps, turn = max(lengths), direction(lengths, reverse)
    x = torch.randn(steps, len(lengths), 2, generator=torch.Generator().manual_seed(0))
    real = torch.arange(steps)[:, None] < torch.tensor(lengths)
    assert torch.equal(turn.to_caller(turn.to_own(x)), x * real[..., None])


@pytest.mark.parametrize("reverse", [False, True])
def test_the_mask_says_which_steps_are_taken(reverse):
    turn = direction([2, 4, 1], reverse)
    expected = [[0, 1, 0], [0, 1, 0], [1, 1, 0], [1, 1, 1]]
    assert torch.equal(turn.mask, torch.tensor(expected, dtype=torch.bool))


@pytest.mark.parametrize("lengths", [None, torch.tensor([3, 3])])
def test_sequences_of_one_length_need_no_mask(lengths):
    x = torch.randn(3, 2, 4)
    forward = Direction(3, 2, lengths, reverse=False, device=CPU)
    backward = Direction(3, 2, lengths, reverse=True, device=CPU)
    assert forward.mask is None
    assert backward.mask is None
    assert torch.equal(forward.to_own(x), x)
    assert torch.equal(backward.to_own(x), x.flip(0))
    assert torch.equal(backward.to_caller(x), x.flip(0))


def test_adjoints_go_with_their_scale():
    turn = direction([1, 3], reverse=True)
    adjoints = Adjoints(torch.randn(3, 2, 4), torch.randn(3, 2, dtype=torch.float64))
    back = turn.adjoints_to_caller(adjoints)
    torch.testing.assert_close(back.values(), turn.to_caller(adjoints.values()))
