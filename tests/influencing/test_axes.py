"""Which axis is time, by where gradients go."""

import pytest
import torch
from torch import nn

import gradscope
from gradscope.errors import GradscopeError
from tests.influencing.models import Classifier, Fir

X = torch.randn(4, 9, 3)


def test_what_the_user_says_is_checked():
    with pytest.raises(GradscopeError, match="passes influence along the input's first axis"):
        gradscope.influence(nn.GRU(3, 4), X, batch_first=True)
    with pytest.raises(GradscopeError, match="give batch_first=True, or transpose"):
        gradscope.influence(nn.GRU(3, 4, batch_first=True), X, batch_first=False)
    gradscope.influence(nn.GRU(3, 4), X, batch_first=False)


def test_where_nothing_tells_it_is_said():
    found = gradscope.influence(nn.Linear(3, 2), X)
    assert "the first was taken as the batch" in found.notes[0]
    assert "batch_first" not in " ".join(
        gradscope.influence(nn.Linear(3, 2), X, batch_first=True).notes
    )
    assert found.lags[-1] == 8


def test_a_long_delay_is_enough():
    found = gradscope.influence(Fir(torch.eye(9)[8]), X, positions=[-1])
    assert found.temporal_range.lag == 8
    assert found.notes == ()


@pytest.mark.parametrize("examples", [5, 12])  # also where both axes are as long
def test_of_one_answer_for_each_example(examples):
    ids = torch.arange(examples * 12).reshape(examples, 12) % 11
    assert gradscope.influence(Classifier(), ids).lags[-1] == 11
    with pytest.raises(GradscopeError, match="an example lies along the input's first axis"):
        gradscope.influence(Classifier(), ids, batch_first=False)


def test_examples_that_influence_each_other_are_refused():
    class Mixing(nn.Module):
        def forward(self, x):
            return x.cumsum(1) - x.mean(0)

    class Shifted(nn.Module):
        def forward(self, x):
            return x.roll((1, 1), (0, 1))

    class Pooled(nn.Module):
        def forward(self, x):
            return x.mean(1) - x.mean((0, 1))

    for model in (Mixing(), Shifted(), Pooled()):
        with pytest.raises(GradscopeError, match="depends on other examples' inputs"):
            gradscope.influence(model, X)


def test_attention_along_the_batch_is_seen_as_time():
    layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0)  # time first
    found = gradscope.influence(layer, torch.randn(6, 9, 4))
    assert (found.lags[0], found.lags[-1]) == (-3, 3)  # of 6 steps, those in the middle
