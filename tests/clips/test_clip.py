"""What clips inherit: the norm, the coefficient, and what they leave alone."""

import pytest
import torch

from gradscope.clips import CLIPS, gradient_norm
from gradscope.clips._clip import Clip, ratio
from tests.clips._draw import gradients


def test_the_norm_is_over_all_arrays_together():
    arrays = gradients()
    squares = sum(float(array.square().sum()) for array in arrays)
    assert float(gradient_norm(arrays)) == pytest.approx(squares**0.5)


def test_norm_of_huge_float32_gradients_does_not_overflow():
    huge = [torch.full((4,), 1e30)]
    assert float(gradient_norm(huge)) == pytest.approx(2e30)
    coefficient = CLIPS.make("global_norm")(huge, gradient_norm(huge))
    assert float(coefficient) == pytest.approx(5e-31)
    torch.testing.assert_close(huge[0], torch.full((4,), 0.5))


def test_the_ratio_is_exactly_one_where_nothing_was_clipped():
    arrays = gradients()
    norm = gradient_norm(arrays)
    assert float(ratio(arrays, 1.1 * norm, clipped=True)) == pytest.approx(1 / 1.1)
    assert float(ratio(arrays, 1.1 * norm, clipped=False)) == 1


@pytest.mark.parametrize("name", CLIPS.names())
def test_the_adjoint_and_the_loss_are_left_alone_unless_the_clip_says_so(name):
    clip = CLIPS.make(name)
    adjoint = 1e3 * gradients()[0]
    assert torch.equal(clip.clip_adjoint(adjoint), adjoint) == (not clip.inside)
    assert (type(clip).term is not Clip.term) == clip.regularises
