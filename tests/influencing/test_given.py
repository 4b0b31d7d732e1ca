"""What a model is given."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

import gradscope
from gradscope.errors import GradscopeError
from gradscope.influencing._given import Given
from tests.influencing.models import Answer, Attention

IDS = torch.arange(24).reshape(2, 12) % 11


class Named(nn.Module):
    """Called as models of packages are."""

    def __init__(self, **config):
        super().__init__()
        self.inner, self.config = Attention(), SimpleNamespace(**config)

    def forward(self, input_ids, attention_mask=None, use_cache=True):
        assert not use_cache
        padding = None if attention_mask is None else attention_mask == 0
        return Answer(None, self.inner(input_ids, padding))


def test_a_tensor_a_list_and_a_mapping_are_the_same_call():
    model = Named()
    expected = gradscope.influence(model, IDS).log_norms
    for inputs in ([IDS], {"input_ids": IDS}, (IDS, torch.ones_like(IDS))):
        torch.testing.assert_close(gradscope.influence(model, inputs).log_norms, expected)


def test_a_mask_among_the_arguments_is_used():
    mask = torch.ones_like(IDS)
    mask[1, 8:] = 0
    given = Given.of(Named(), {"input_ids": IDS, "attention_mask": mask}, None)
    torch.testing.assert_close(given.mask, mask.bool())
    whole = torch.ones(2, 1, 12, 12)  # which says nothing of single positions
    assert Given.of(Named(), {"input_ids": IDS, "attention_mask": whole}, None).mask is None


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (torch.randn(12), r"of shape \(12,\) are numbers without axes .* give inputs\[None\]"),
        (torch.randn(12, 3), r"for one number a step inputs\[\.\.\., None\]"),
        (IDS[0], r"of shape \(12,\) are one sequence of tokens: give inputs\[None\]"),
        (IDS[:0], "are empty"),
        (IDS > 3, "are a mask"),
        (torch.randn(2, 12, 3).to(torch.complex64), "are complex"),
        ("tokens", "inputs are of type str"),
        ({"a": IDS, "b": IDS}, r"which of the inputs is the sequence\? They hold a, b"),
        ({"a": 3}, "They hold no tensor"),
        (nn.utils.rnn.pack_sequence([torch.randn(3, 2)]), "pad_packed_sequence"),
    ],
)
def test_what_is_no_sequence_is_refused(inputs, message):
    with pytest.raises(GradscopeError, match=message):
        gradscope.influence(Attention(), inputs)


def test_the_sequence_is_named_where_there_are_several():
    given = Given.of(Attention(), {"a": IDS, "b": IDS + 1}, "b")
    assert given.key == "b"
    assert given.is_tokens


def test_of_an_encoder_and_a_decoder_it_is_the_decoders():
    model = Named(is_encoder_decoder=True)
    both = {"input_ids": IDS, "decoder_input_ids": IDS[:, :5]}
    assert Given.of(model, both, None).key == "decoder_input_ids"
    with pytest.raises(GradscopeError, match="has an encoder and a decoder"):
        Given.of(model, IDS, None)
