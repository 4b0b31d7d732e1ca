"""Where x_t enters a model."""

import numpy as np
import pytest
import torch
from torch import nn

import gradscope
from gradscope.errors import GradscopeError
from tests.influencing.models import Attention, Tagger

IDS = torch.arange(48).reshape(4, 12) % 11


class Reading(Tagger):
    """A tagger that brings its tokens into another form before it embeds them."""

    def __init__(self, form):
        super().__init__()
        self.form = form

    def forward(self, ids):
        if self.form == "transposed":
            x = self.embed(ids.T.contiguous()).transpose(0, 1)
        elif self.form == "flat":
            x = self.embed(ids.flatten()).reshape(*ids.shape, -1)
        elif self.form == "in place":
            x = self.embed(ids).mul_(1.0)
        else:
            x = nn.functional.embedding(ids, self.embed.weight)
        return self.out(self.rnn(x)[0])


@pytest.mark.parametrize("form", ["transposed", "flat", "in place"])
def test_tokens_in_any_form(form):
    torch.manual_seed(0)
    model, plain = Reading(form), Tagger()
    plain.load_state_dict(model.state_dict())
    expected = gradscope.influence(plain, IDS).log_norms
    np.testing.assert_allclose(gradscope.influence(model, IDS).log_norms, expected, atol=1e-5)


def test_an_embedding_that_is_no_module_is_said():
    with pytest.raises(GradscopeError, match="say by of= which module makes vectors"):
        gradscope.influence(Reading("a function"), IDS)


def test_positions_are_no_tokens():
    """The embedding of positions is called before, with other numbers."""
    assert gradscope.influence(Attention(), IDS).notes == ()


class Twice(Tagger):
    """Reads its tokens by two embeddings."""

    def __init__(self):
        super().__init__()
        self.more = nn.Embedding(11, 6)

    def forward(self, ids):
        return self.out(self.rnn(self.embed(ids) + self.more(ids))[0])


def test_a_second_embedding_is_told():
    found = gradscope.influence(Twice(), IDS)
    assert "the tokens are read by more as well" in found.notes[0]
    assert gradscope.influence(Twice(), IDS, of="more").notes == ()


def test_the_output_of_any_module_may_be_x():
    torch.manual_seed(0)
    model = Attention().double().eval()
    whole = gradscope.influence(model, IDS, of="blocks.0", cotangents="exact")
    by_embedding = gradscope.influence(model, IDS, cotangents="exact")
    assert not np.allclose(whole.log_norms, by_embedding.log_norms)
    with pytest.raises(GradscopeError, match="of='block' is no input and no module of the model"):
        gradscope.influence(model, IDS, of="block")
    with pytest.raises(GradscopeError, match="'rnn' should give one tensor of numbers"):
        gradscope.influence(Tagger(), IDS, of="rnn")
    model.unused = nn.Linear(2, 2)
    with pytest.raises(GradscopeError, match="'unused' was not called"):
        gradscope.influence(model, IDS, of="unused")


def test_an_embedding_of_a_class_of_its_own():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(11, 6))

        def forward(self, ids):
            return self.weight[ids]

    class Model(Tagger):
        def __init__(self):
            super().__init__()
            self.embed = Own()

        def get_input_embeddings(self):
            return self.embed

    assert np.isfinite(gradscope.influence(Model(), IDS).log_norms).all()
