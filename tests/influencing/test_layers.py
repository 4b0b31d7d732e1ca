"""Influence on the output of layers."""

import numpy as np
import pytest
import torch
from torch import nn

import gradscope
from gradscope.errors import GradscopeError
from tests.influencing.models import Attention, Classifier, Tagger

IDS = torch.arange(48).reshape(4, 12) % 11


def test_layers_by_name():
    found = gradscope.influence(Tagger(), IDS, layers=["embed", "rnn", "out"])
    assert list(found.layers.members) == ["embed", "rnn", "out"]
    assert np.isneginf(found.layers["embed"].log_norms[1:]).all()
    np.testing.assert_allclose(found.layers["out"].log_norms, found.log_norms, atol=1e-5)
    assert found.layers["rnn"].of == "the output of 'rnn'"


def test_a_layer_that_is_called_again_has_a_number():
    class Looped(Attention):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList([self.blocks[0], self.blocks[0]])

    found = gradscope.influence(Looped(), IDS, layers=["blocks.0"])
    assert list(found.layers.members) == ["blocks.0", "blocks.0 #2"]


def test_of_a_sequence_of_layers_all_are_asked():
    class First(nn.Module):
        def forward(self, output):
            return output[0]

    rnns = [nn.Sequential(nn.GRU(3, 3, batch_first=True), First()) for _ in range(2)]
    model = nn.Sequential(*rnns, nn.Dropout(0.5), nn.Linear(3, 2))
    found = gradscope.influence(model, torch.randn(4, 20, 3), layers=True)
    assert list(found.layers.members) == ["0", "1", "3"]
    ranges = [one.temporal_range.lag for one in found.layers.members.values()]
    assert ranges[0] < ranges[1]  # each layer looks further back


def test_layers_of_a_classifier_are_asked_at_the_last_step():
    found = gradscope.influence(Classifier(), IDS, layers=["rnn"])
    assert found.layers["rnn"].by_position.index.tolist() == [11]


def test_what_is_no_layer():
    with pytest.raises(GradscopeError, match=r"the model has no module 'encoder': .*known"):
        gradscope.influence(Tagger(), IDS, layers=["encoder"])
    with pytest.raises(GradscopeError, match="layers=True looks for a Sequential or ModuleList"):
        gradscope.influence(Tagger(), IDS, layers=True)
    with pytest.raises(GradscopeError, match="no layer of out gives a vector for each position"):
        gradscope.influence(Classifier(), IDS, layers=["out"])
