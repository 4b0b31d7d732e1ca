"""A step of a loop, run again."""

import pytest
import torch
from torch import nn

import gradscope
from gradscope.errors import GradscopeError
from tests.capture.conftest import loop_of, recorded
from tests.capture.loop_models import BATCH, LENGTH, WIDTH, Inside, Looped, Tiny, drawn


def test_a_step_gives_what_it_gave_and_is_cut_where_training_cut_it():
    torch.manual_seed(0)
    _, trace, _ = loop_of(Tiny().double(), drawn(BATCH, LENGTH, 2))
    program, layout = trace.cell.program, trace.cell.layout
    for step in range(1, trace.time + 1):
        before = [p.requires_grad_() for p in layout.tensors(trace.states.detach()[step - 1])]
        full = program.run(step, before, trained=False)
        own = program.run(step, before, trained=True)
        torch.testing.assert_close(layout.rows(full), trace.states.detach()[step])
        assert torch.equal(layout.rows(full), layout.rows(own))
        fresh = trace.cell.program.states.fresh[step].index(True)
        assert full[fresh].grad_fn is not None
        assert (own[fresh].grad_fn is not None) == (step > 3)


def test_what_is_hushed_within_a_module_is_loud_again():
    torch.manual_seed(0)
    _, trace, _ = loop_of(Inside().double(), drawn(BATCH, WIDTH))
    gradients = gradscope.gradient(trace)
    assert gradients["outer.first.inner.weight"].any()
    own = gradscope.Trace(
        trace.cell.as_trained(), trace.inputs, trace.states, immediate=trace.immediate
    )
    assert not gradscope.gradient(own)["outer.first.inner.weight"].any()


def test_a_parameter_between_the_calls_is_one_of_the_loops():
    torch.manual_seed(0)
    model = Looped(adapter=True).double()
    _, trace, _ = loop_of(model, drawn(BATCH, LENGTH, 2))
    assert set(trace.cell.program.between) == {"adapter.weight", "adapter.bias"}
    names = [name for name, _ in trace.cell.named_parameters()]
    assert {"adapter.weight", "blocks.0.up.weight"} <= set(names)


class Own(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, g):
        return 2 * g


def test_what_cannot_be_seen_between_two_calls_ends_the_loop():
    torch.manual_seed(0)
    model = nn.ModuleDict({"block": nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh())}).double()

    def run():
        with recorded(model):
            x = drawn(BATCH, WIDTH)
            for _ in range(3):
                x = Own.apply(model["block"](x))
            x.sum().backward()

    with pytest.raises(GradscopeError, match="no module was called on its own output"):
        run()


def test_a_constant_that_is_changed_later_is_named():
    torch.manual_seed(0)
    model = nn.ModuleDict({"block": nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh())}).double()
    added = drawn(BATCH, WIDTH)

    def run():
        with recorded(model):
            x = drawn(BATCH, WIDTH, seed=2)
            for _ in range(3):
                x = model["block"](x + added)
            x.sum().backward()
            added.add_(1)

    with pytest.raises(GradscopeError, match="was changed in place later in the recorded block"):
        run()
