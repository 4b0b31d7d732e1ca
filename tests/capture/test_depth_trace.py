"""What a trace of depth says of itself."""

import torch
from torch import nn

import gradscope
from tests.capture.conftest import recorded
from tests.capture.depth_models import Residual
from tests.capture.depth_variants import StreamList


def test_several_tensors_are_one_state_and_told():
    torch.manual_seed(0)
    model = StreamList()
    with recorded(model, depth="blocks") as recording:
        model(torch.randn(3, 4, 5)).backward()
    assert any("2 tensors are handed on" in note for note in recording.notes)
    assert recording.trace("blocks.depth").states.shape == (5, 3, 48)


def test_a_plain_stack_needs_no_note():
    model = Residual()
    with recorded(model, depth="blocks") as recording:
        model(torch.randn(3, 3)).backward()
    assert not [note for note in recording.notes if note.startswith("blocks")]


def test_only_the_last_loss_is_immediate_where_nothing_else_hears():
    torch.manual_seed(0)
    model = Residual()
    with recorded(model, depth="blocks") as recording:
        model(torch.randn(3, 3)).backward()
    immediate = recording.trace("blocks.depth").immediate.values()
    assert not immediate[:-1].any()
    assert immediate[-1].any()


def test_a_stack_that_keeps_a_state_has_no_jacobians():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.f, self.calls = nn.Linear(6, 6), 0

        def forward(self, x, scale=1.0):
            self.calls += 1
            return x + self.calls * self.f(x)

    model = Residual(3)
    model.blocks = nn.ModuleList([Counting() for _ in range(3)])
    with recorded(model, depth="blocks") as recording:
        model(torch.randn(3, 3)).backward()
    assert any("a state that they keep" in note for note in recording.notes)
    assert gradscope.adjoints(recording.trace("blocks.depth")).log_norm().isfinite().all()
