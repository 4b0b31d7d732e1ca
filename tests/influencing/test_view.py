"""A model's outputs along batch and time."""

import pytest
import torch

from gradscope.errors import GradscopeError
from gradscope.influencing._asked import Asked
from gradscope.influencing._given import Given
from gradscope.influencing._leaf import Leaf
from gradscope.influencing._view import View

X = torch.randn(4, 9, 3)


def view_of(compute, **asked):
    leaf = Leaf(Given((X,), {}, 0, X, None))
    return View.of(compute(leaf.take(X)), leaf, Asked(**asked))


def test_outputs_have_the_batch_first():
    for axis in (0, 1):
        view = view_of(lambda x, axis=axis: x.cumsum(axis))
        assert view.places.batch_first == (axis == 1)
        assert view.value.shape == ((4, 9, 3) if axis == 1 else (9, 4, 3))
        assert not view.places.future
        assert view.notes == ()


def test_one_answer_stands_at_every_position():
    view = view_of(lambda x: x.sum(1))
    assert view.value.shape == (4, 9, 3)
    assert view.places.outputs.tolist() == [[8, 8, 8, 8]]


def test_of_padded_sequences_the_last_that_is_none():
    mask = torch.ones(4, 9, dtype=torch.bool)
    mask[1, 5:] = False
    mask[2, :3] = False
    view = view_of(lambda x: x.sum(1), mask=mask)
    assert view.places.outputs.tolist() == [[8, 4, 8, 8]]


def test_losses_take_the_place_of_outputs():
    view = view_of(lambda x: x.cumsum(1), loss=lambda out: out.square().mean(-1))
    assert view.value.shape == (4, 9, 1)
    torch.testing.assert_close(view.value[..., 0], X.cumsum(1).square().mean(-1))


def test_layers_have_the_axes_of_the_output():
    view = view_of(lambda x: x.cumsum(0))
    hidden = torch.zeros(4, 9, 2, 5, requires_grad=True)
    assert view.of_layer(hidden).shape == (9, 4, 10)
    assert view.of_layer(hidden.detach()) is None
    assert view.of_layer(hidden[:, 0]) is None


@pytest.mark.parametrize(
    ("compute", "asked", "message"),
    [
        (lambda x: x.detach(), {}, "the output has no derivative"),
        (lambda x: x.cumsum(1) / 0, {}, "the model's output is not finite"),
        (lambda x: x.cumsum(1), {"mask": torch.ones(9, 4)}, r"should be \(4, 9\)"),
        (lambda x: x.cumsum(1), {"loss": "next_token"}, "needs tokens"),
    ],
)
def test_what_cannot_be_measured_is_refused(compute, asked, message):
    with pytest.raises(GradscopeError, match=message):
        view_of(compute, **asked)
