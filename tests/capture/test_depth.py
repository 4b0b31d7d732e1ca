"""Depth as time: residual stacks and transformers, watched."""

import pytest
import torch
from torch import nn

import gradscope
from gradscope.errors import GradscopeError
from tests.capture.conftest import recorded
from tests.capture.depth_models import Block, Residual


@pytest.mark.parametrize("depth", [True, "blocks"])
def test_adjoints_and_jacobians_across_layers(depth):
    torch.manual_seed(0)
    model, x = Residual().double(), torch.randn(3, 3, dtype=torch.float64)
    with recorded(model, depth=depth) as recording:
        model(x).backward()
    trace = recording.trace("blocks.depth")
    keep = []
    model.zero_grad()
    model(x, keep).backward()
    expected = torch.stack([state.grad for state in keep])
    torch.testing.assert_close(
        gradscope.adjoints(trace).values()[1:], expected, rtol=1e-10, atol=1e-12
    )
    jacobians = gradscope.step_jacobians(trace)
    assert jacobians.shape == (4, 3, 6, 6)
    for layer, block in enumerate(model.blocks):
        s = trace.states.detach()[layer, 1]
        torch.testing.assert_close(
            jacobians[layer, 1],
            torch.autograd.functional.jacobian(lambda s, b=block: b(s, scale=0.5), s),
            rtol=1e-10,
            atol=1e-12,
        )
    for name, value in gradscope.gradient(trace).items():
        expected = model.blocks.get_parameter(name.removeprefix("layers.")).grad
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-12)
    top = gradscope.top_singular_values(trace, 4, 0, 2, sequence=1)
    product = (jacobians[3] @ jacobians[2] @ jacobians[1] @ jacobians[0])[1]
    exact = torch.linalg.svdvals(product)[:2].log()
    torch.testing.assert_close(top, exact, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("requires_grad", [False, True])
def test_the_gradient_of_what_enters_the_first_block(requires_grad):
    """Seen where autograd has it, made by J^T where it has not: the same."""
    torch.manual_seed(0)
    blocks = nn.ModuleList([Block(6) for _ in range(3)]).double()
    x = torch.randn(2, 6, dtype=torch.float64, requires_grad=requires_grad)
    with recorded(blocks, depth=True) as recording:
        y = x
        for block in blocks:
            y = block(y)
        y.square().sum().backward()
    entering = x.detach().requires_grad_()
    y = entering
    for block in blocks:
        y = block(y)
    (expected,) = torch.autograd.grad(y.square().sum(), entering)
    adjoints = gradscope.adjoints(recording.trace("depth")).values()
    torch.testing.assert_close(adjoints[0], expected, rtol=1e-10, atol=1e-12)


def test_of_a_stack_in_a_loop_the_last_time_is_shown():
    torch.manual_seed(0)
    model = Residual(3)
    for times, names in ((2, ["blocks.depth (1)", "blocks.depth (2)"]), (6, ["blocks.depth"])):
        inputs = torch.randn(times, 5, 3)
        with recorded(model, depth="blocks") as recording:
            sum(model(x) for x in inputs).backward()
        assert list(recording.traces) == names
        torch.testing.assert_close(
            recording.trace(names[-1]).states[0], model.first(inputs[-1]), rtol=0, atol=0
        )
        said = "blocks: went through 6 times; the last time is shown" in recording.notes
        assert said == (times == 6)
        assert not any("not connected" in note for note in recording.notes)


def test_a_transformer_encoder():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, dtype=torch.float64)
    model = nn.TransformerEncoder(layer, 3)
    with recorded(model, depth=True) as recording:
        model(torch.randn(2, 5, 8, dtype=torch.float64)).square().sum().backward()
    trace = recording.trace("layers.depth")
    assert trace.states.shape == (4, 2, 40)
    assert gradscope.adjoints(trace).log_norm().isfinite().all()


def test_dropout_leaves_the_adjoints_and_says_why_there_are_no_jacobians():
    torch.manual_seed(0)
    model = Residual(dropout=0.5)
    before = torch.get_rng_state()
    model(torch.randn(3, 3)).backward()
    after = torch.get_rng_state()
    torch.set_rng_state(before)
    with recorded(model, depth="blocks") as recording:
        model(torch.randn(3, 3)).backward()
    assert torch.equal(torch.get_rng_state(), after)
    trace = recording.trace("blocks.depth")
    assert gradscope.adjoints(trace).log_norm().isfinite().all()
    assert any("its blocks are random (dropout)" in note for note in recording.notes)
    with pytest.raises(GradscopeError, match=r"model\.eval\(\)"):
        gradscope.step_jacobians(trace)


# --- what has no depth ----------------------------------------------------------------------------


def test_blocks_that_change_the_shape_are_named():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5))
    with (
        pytest.raises(GradscopeError, match="blocks that keep the shape"),
        recorded(model, depth=True),
    ):
        model(torch.randn(2, 3))


def test_blocks_beside_one_another_are_named():
    model = nn.ModuleDict({"blocks": nn.ModuleList([Block(3) for _ in range(2)])})
    rnn = nn.ModuleDict({"rnn": nn.GRU(3, 3), **model})
    x = torch.randn(4, 3)
    with recorded(rnn, depth="blocks") as recording:
        total = sum(block(x).sum() for block in model["blocks"]) + rnn["rnn"](x)[0].sum()
        total.backward()
    assert list(recording.traces) == ["rnn"]
    assert any("no block's output was the next one's input" in note for note in recording.notes)


def test_weights_that_change_before_a_block_is_called_are_named():
    model = Residual()

    def change_and_run():
        with torch.no_grad():
            model.blocks[1].a.weight.mul_(2)
        model(torch.randn(2, 3))

    with (
        pytest.raises(GradscopeError, match="the weights of 'blocks' changed"),
        recorded(model, depth="blocks"),
    ):
        change_and_run()


class Keyword(nn.Module):
    def forward(self, *, size):
        return torch.ones(size)


def test_a_block_without_an_activation_is_named():
    model = nn.ModuleList([Keyword(), Keyword()])
    with (
        pytest.raises(GradscopeError, match="called with the activation as its first argument"),
        recorded(model, depth=[""]),
    ):
        model[0](size=2)
