"""The matrices that mix residual streams, against those that the models were made with."""

import pytest
import torch
from torch import nn

import gradscope
from gradscope.errors import GradscopeError
from tests.capture.conftest import recorded
from tests.capture.depth_variants import (
    BatchStreams,
    DynamicStreams,
    Plain,
    StreamList,
    Streams,
)


def traced(variant):
    torch.manual_seed(0)
    model = variant().double()
    with recorded(model, depth="blocks") as recording:
        model(torch.randn(3, 4, 5, dtype=torch.float64)).backward()
    return model, recording.trace("blocks.depth")


@pytest.mark.parametrize(("variant", "axis"), [(Streams, 1), (StreamList, None), (BatchStreams, 0)])
def test_static_mixing_is_the_models_own(variant, axis):
    model, trace = traced(variant)
    mixing = gradscope.stream_mixing(trace, axis=axis)
    assert mixing.shape == (4, 3, 4, 2, 2)
    expected = torch.stack(list(model.mix))[:, None, None].expand_as(mixing)
    torch.testing.assert_close(mixing, expected)


def test_dynamic_mixing_is_taken_as_it_was():
    model, trace = traced(DynamicStreams)
    mixing = gradscope.stream_mixing(trace, axis=-2)
    for layer, ask in enumerate(model.ask):
        x = trace.states[layer].reshape(3, 4, 12)
        asked = torch.tanh(ask(x)).unflatten(-1, (2, 2))
        torch.testing.assert_close(mixing[layer], model.mix[layer] + 0.1 * asked)


class Wrapped(nn.Module):
    """Hyper-connections around a branch of their own, streams along the batch's axis."""

    def __init__(self, branch):
        super().__init__()
        self.branch = branch
        self.mix = nn.Parameter(torch.eye(2) + 0.3 * torch.randn(2, 2))

    def forward(self, x):
        h = x.reshape(-1, 2, *x.shape[1:])
        mixed = torch.einsum("rs,bstd->brtd", self.mix, h)
        return (mixed + self.branch(h.sum(1))[:, None]).reshape(x.shape)


def test_a_module_with_a_branch_has_that_as_its_block():
    torch.manual_seed(0)
    model = nn.ModuleList([Wrapped(nn.Linear(6, 6)) for _ in range(3)]).double()
    with recorded(model, depth=[""]) as recording:
        x = torch.randn(6, 4, 6, dtype=torch.float64)
        for layer in model:
            x = layer(x)
        x.square().sum().backward()
    trace = recording.trace("depth")
    assert any("2 streams of each of 3 samples" in note for note in recording.notes)
    assert trace.cell.state_shape == (2, 4, 6)
    mixing = gradscope.stream_mixing(trace)
    expected = torch.stack([layer.mix for layer in model])[:, None, None].expand_as(mixing)
    torch.testing.assert_close(mixing, expected)


def test_what_is_no_mixing_of_streams_is_named():
    _, trace = traced(Streams)
    with pytest.raises(GradscopeError, match="along which axis"):
        gradscope.stream_mixing(trace)
    with pytest.raises(GradscopeError, match="axis 5 is none"):
        gradscope.stream_mixing(trace, axis=5)
    with pytest.raises(GradscopeError, match="no channels beside its streams"):
        gradscope.stream_mixing(trace, axis=-1)
    other = gradscope.unroll(gradscope.convert(nn.GRU(2, 3)), torch.randn(4, 1, 2))
    with pytest.raises(GradscopeError, match="takes a trace of depth"):
        gradscope.stream_mixing(other)

    class Scaled(Plain):
        def layer(self, index, x):
            return x * torch.linspace(0.5, 1.5, 6).to(x) + self.blocks[index](x)

    _, trace = traced(Scaled)
    with pytest.raises(GradscopeError, match="no mixing of whole streams"):
        gradscope.stream_mixing(trace, axis=0)
