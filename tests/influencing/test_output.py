"""What a model puts out."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

import gradscope
from gradscope.errors import GradscopeError
from gradscope.influencing._output import placed, tensor_of

X = torch.randn(4, 12, 5)


@pytest.mark.parametrize(
    "output",
    [
        X,
        (X, torch.zeros(3)),
        [X],
        {"logits": X, "hidden": torch.zeros(3)},
        {"only": X, "count": 3},
        SimpleNamespace(logits=X, last_hidden_state=torch.zeros(3)),
        SimpleNamespace(last_hidden_state=X),
        (torch.tensor([1]), X),
    ],
)
def test_the_tensor_that_counts(output):
    assert tensor_of(output, None) is X


@pytest.mark.parametrize("output", [None, "text", {"a": X, "b": X}, (3, "text"), SimpleNamespace()])
def test_where_there_is_none_read_says_it(output):
    with pytest.raises(GradscopeError, match="say by read= what counts"):
        tensor_of(output, None)
    assert tensor_of(output, lambda _: X) is X


def test_packed_outputs_are_to_be_unpacked():
    with pytest.raises(GradscopeError, match="unpack it by read="):
        tensor_of(nn.utils.rnn.pack_sequence([X[0]]), None)


@pytest.mark.parametrize(
    ("shape", "value", "by_position", "note"),
    [
        ((4, 12, 5), (4, 12, 5), True, ""),
        ((4, 12, 2, 5), (4, 12, 10), True, ""),
        ((4, 12), (4, 12, 1), True, "one number for each position"),
        ((12, 4, 5), (4, 12, 5), True, "the other way round"),
        ((48, 5), (4, 12, 5), True, "one after another"),
        ((4, 5), (4, 1, 5), False, ""),
        ((4,), (4, 1, 1), False, ""),
        ((12, 1, 5), (12, 1, 5), False, ""),
    ],
)
def test_shapes(shape, value, by_position, note):
    found = placed(torch.zeros(shape), 4, 12)
    assert found.value.shape == value
    assert found.by_position == by_position
    assert note in found.note
    assert bool(note) == bool(found.note)


@pytest.mark.parametrize("shape", [(), (3, 12, 5), (4, 11, 5), (5, 4)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(GradscopeError, match="has 4 by 12 positions"):
        placed(torch.zeros(shape), 4, 12)


def test_flattened_outputs_of_one_example():
    assert placed(torch.zeros(12, 5), 1, 12).value.shape == (1, 12, 5)
    assert not placed(torch.zeros(1, 5), 1, 12).by_position


def test_all_positions_one_after_another():
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.GRU(5, 3, batch_first=True)

        def forward(self, x):
            return self.rnn(x)[0].flatten(0, 1)

    model = Flat()
    found = gradscope.influence(model, X)
    expected = gradscope.influence(model.rnn, X)
    torch.testing.assert_close(found.log_norms, expected.log_norms)
