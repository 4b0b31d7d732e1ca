"""Products of one trial, and of many: each is what a loop over trials and steps comes to."""

import pytest
import torch

from gradscope.cells._products import add_outer, add_product, by_weight, driven, product, room
from tests.conftest import draw

#: the leading axes of one trial, and of three
AXES = [(), (3,)]


@pytest.mark.parametrize("trials", AXES)
def test_a_product_is_added_in_place(trials):
    total, left, weight = draw(*trials, 2, 4), draw(*trials, 2, 5, seed=1), draw(*trials, 5, 4)
    expected = total + left @ weight
    add_product(total, left, weight)
    torch.testing.assert_close(total, expected)


def test_one_is_added_to_a_part_of_a_wider_state():
    """Whose rows do not lie side by side."""
    state, left, weight = draw(3, 2, 9), draw(3, 2, 5, seed=1), draw(3, 5, 4)
    expected = state.clone()
    expected[..., :4] += left @ weight
    add_product(state[..., :4], left, weight)
    torch.testing.assert_close(state, expected)


@pytest.mark.parametrize("trials", AXES)
@pytest.mark.parametrize("biased", [True, False])
def test_a_product_with_a_bias_is_written(trials, biased):
    left, weight, out = (
        draw(*trials, 2, 5),
        draw(*trials, 5, 4),
        torch.empty(*trials, 2, 4).double(),
    )
    bias = draw(*trials, 4, seed=2) if biased else None
    product(left, weight, bias, out)
    expected = left @ weight + (bias.unsqueeze(-2) if biased else 0)
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize("trials", AXES)
def test_outer_products_add_up_over_steps_and_batch(trials):
    left, right = draw(6, *trials, 2, 4), draw(6, *trials, 2, 5, seed=1)
    total = draw(*trials, 4, 5, seed=2)
    expected = total + sum(a.mT @ b for a, b in zip(left, right, strict=True))
    add_outer(total, left, right)
    torch.testing.assert_close(total, expected)


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("steps", [(), (6,)])
def test_each_trial_meets_its_own_weights(steps, biased):
    x, weight = draw(*steps, 3, 2, 5), draw(3, 5, 4)
    bias = draw(3, 4, seed=2) if biased else None
    expected = x @ weight + (bias.unsqueeze(-2) if biased else 0)
    torch.testing.assert_close(by_weight(x, weight, bias), expected)


def test_inputs_are_multiplied_when_they_are_asked_for():
    x, weight, bias = draw(6, 3, 2, 5), draw(3, 5, 4), draw(3, 4, seed=2)
    whole, by_step = driven(x, weight, bias)
    whole.fill_(torch.nan)
    first = next(iter(by_step))
    assert first.data_ptr() == whole.data_ptr()
    torch.testing.assert_close(whole[0], x[0] @ weight + bias.unsqueeze(-2))
    assert bool(whole[1:].isnan().all())


def test_room_keeps_the_steps_of_a_trial_side_by_side():
    like = draw(1)
    assert room(like, 6, [2], 4).stride() == (8, 4, 1)
    of_trials = room(like, 6, [3, 2], 4)
    assert of_trials.shape == (6, 3, 2, 4)
    assert of_trials.movedim(0, 1).is_contiguous()
