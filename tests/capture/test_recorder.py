"""Recorder: one block at a time, hooks off afterwards, and every place has its say."""

import pytest
import torch
from torch import nn

from gradscope.capture import Attachment, Recorder
from gradscope.errors import GradscopeError
from tests.capture.conftest import BATCH, HIDDEN, INPUT, TIME, recorded


def gru():
    return nn.ModuleDict({"rnn": nn.GRU(INPUT, HIDDEN)})


def test_the_recording_is_filled_when_the_block_ends():
    model = gru()
    recorder = Recorder(model, Attachment.of(model))
    with recorder.block(7) as recording:
        model["rnn"](torch.randn(TIME, BATCH, INPUT))[0].sum().backward()
        assert recording.traces == {}
    assert recording.train_step == 7
    assert list(recording.traces) == ["rnn"]
    assert recording.modules["rnn"] is model["rnn"]
    assert recording.gradients.keys() == dict(model.named_parameters()).keys()


def test_a_block_without_a_call_is_named():
    with (
        pytest.raises(
            GradscopeError, match=r"nothing was called within the recorded block.* pass of rnn"
        ),
        recorded(gru()),
    ):
        pass


def test_a_block_inside_another_is_named():
    model = gru()
    recorder = Recorder(model, Attachment.of(model))
    with (
        pytest.raises(GradscopeError, match="inside another one"),
        recorder.block(0),
        recorder.block(1),
    ):
        pass
    with recorder.block(2) as recording:  # the first has been left
        model["rnn"](torch.randn(TIME, BATCH, INPUT))
    assert recording.traces


def test_an_exception_goes_through_and_the_hooks_come_off():
    model = gru()
    recorder = Recorder(model, Attachment.of(model))

    def fail():
        model["rnn"](torch.randn(TIME, BATCH, INPUT))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), recorder.block(0) as recording:
        fail()
    assert recording.traces == {}
    assert not model["rnn"]._forward_hooks
    assert not model["rnn"]._forward_pre_hooks
    assert not any(p._post_accumulate_grad_hooks for p in model.parameters())
    with recorder.block(1) as recording:
        model["rnn"](torch.randn(TIME, BATCH, INPUT))
    assert recording.traces


class Wrapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(INPUT, HIDDEN)

    def forward(self, x):
        return self.rnn(x)[0]


def test_one_place_that_fails_does_not_silence_the_others():
    model = nn.ModuleDict({"both": Wrapped(), "bad": nn.Linear(HIDDEN, HIDDEN)})
    with recorded(model, steps=["bad"]) as recording:
        model["bad"](model["both"](torch.randn(5, 2, INPUT))[-1]).sum().backward()
    assert list(recording.traces) == ["both.rnn"]
    assert recording.unseen["bad"].startswith("it was not recorded: 'bad'")
    assert "not seen: bad: it was not recorded" in repr(recording)


def test_a_block_that_ends_where_gradients_are_off_is_taken_apart_all_the_same():
    """The adjoint of a user's own step is made by autograd."""
    model = nn.ModuleDict({"step": nn.Sequential(nn.GRUCell(INPUT, HIDDEN))})
    model["step"].forward = lambda x, h: model["step"][0](x, h)
    with torch.no_grad(), recorded(model, steps=["step"]) as recording, torch.enable_grad():
        h = torch.zeros(BATCH, HIDDEN)
        for x in torch.randn(TIME, BATCH, INPUT):
            h = model["step"](x, h)
        h.sum().backward()
    assert not recording.trace("step").immediate.mantissa[:-1].any()
    assert recording.trace("step").immediate.mantissa[-1].eq(1).all()
