"""Depth as time: residual stacks and transformers, watched."""

import random

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

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


class Unseeded(nn.Module):
    """Draws otherwise than by torch."""

    def __init__(self):
        super().__init__()
        self.f, self.chance = nn.Linear(6, 6), random.Random(0)

    def forward(self, x, scale=1.0):
        return x + scale * self.f(x) * self.chance.random()


def test_blocks_that_draw_otherwise_have_adjoints_and_no_jacobians():
    torch.manual_seed(0)
    model = Residual(3)
    model.blocks = nn.ModuleList([Unseeded() for _ in range(3)])
    with recorded(model, depth="blocks") as recording:
        model(torch.randn(3, 3)).backward()
    trace = recording.trace("blocks.depth")
    assert gradscope.adjoints(trace).log_norm().isfinite().all()
    assert any("its blocks are random" in note for note in recording.notes)
    with pytest.raises(GradscopeError, match=r"model\.eval\(\)"):
        gradscope.step_jacobians(trace)


def test_dropout_is_drawn_again_and_the_generator_left_alone():
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
    some = trace.sequences(slice(1, 2))  # of which the mask that was drawn for it is its own
    torch.testing.assert_close(
        gradscope.step_jacobians(some)[:, 0], gradscope.step_jacobians(trace)[:, 1]
    )
    assert torch.equal(torch.get_rng_state(), after)


# --- how samples lie in a batch -------------------------------------------------------------------


class Normed(nn.Module):
    """x + f(batch norm(x))."""

    def __init__(self):
        super().__init__()
        self.norm, self.f = nn.BatchNorm1d(6), nn.Linear(6, 6)

    def forward(self, x, scale=1.0):
        return x + torch.tanh(self.f(self.norm(x)))


def test_samples_that_meet_are_one_state():
    torch.manual_seed(0)
    model = Residual(3).double()
    model.blocks = nn.ModuleList([Normed() for _ in range(3)]).double()
    kept = []
    with recorded(model, depth="blocks") as recording:
        model(torch.randn(5, 3, dtype=torch.float64), kept).backward(retain_graph=True)
    trace = recording.trace("blocks.depth")
    assert trace.states.shape == (4, 1, 30)
    assert any("the samples of a batch meet" in note for note in recording.notes)
    product = gradscope.jacobian_product(trace, 3, 1).matrix()[0]
    rows = [torch.autograd.grad(v, kept[0], retain_graph=True)[0] for v in kept[2].flatten()]
    torch.testing.assert_close(product, torch.stack(rows).flatten(1), rtol=1e-10, atol=1e-12)


def test_a_mask_for_each_sample_goes_with_it():
    """What a block is given besides is of the samples that are looked at, whichever these are."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, dtype=torch.float64)
    model = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
    padded = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    with recorded(model, depth=True) as recording:
        out = model(torch.randn(2, 5, 8, dtype=torch.float64), src_key_padding_mask=padded)
        out.square().sum().backward()
    trace = recording.trace("layers.depth")
    whole = gradscope.step_jacobians(trace)
    again = gradscope.step_jacobians(trace.sequences(torch.tensor([1, 0, 1])))
    torch.testing.assert_close(again, whole[:, [1, 0, 1]])


# --- ways to train --------------------------------------------------------------------------------


@pytest.mark.parametrize("reentrant", [False, True])
def test_what_checkpointing_computes_twice_is_read_once(reentrant):
    def run(checkpointed):
        torch.manual_seed(0)
        model = Residual().double()
        x = model.first(torch.randn(3, 3, dtype=torch.float64))
        with recorded(model, depth="blocks") as recording:
            y = x
            for block in model.blocks:
                y = checkpoint(block, y, use_reentrant=reentrant) if checkpointed else block(y)
            model.out(y).square().sum().backward()
        return recording.trace("blocks.depth")

    plain, trace = run(False), run(True)
    torch.testing.assert_close(
        gradscope.adjoints(trace).values(), gradscope.adjoints(plain).values()
    )
    torch.testing.assert_close(gradscope.step_jacobians(trace), gradscope.step_jacobians(plain))


def test_autocast_and_half_precision_agree_to_theirs():
    torch.manual_seed(0)
    model = Residual()
    x = torch.randn(3, 3)
    with recorded(model, depth="blocks") as recording:
        model(x).backward()
    exact = gradscope.step_jacobians(recording.trace("blocks.depth"))
    with recorded(model, depth="blocks") as recording, torch.autocast("cpu", torch.bfloat16):
        model(x).backward()
    torch.testing.assert_close(
        gradscope.step_jacobians(recording.trace("blocks.depth")), exact, rtol=0.1, atol=0.03
    )
    model.bfloat16()
    with recorded(model, depth="blocks") as recording:
        model(x.bfloat16()).backward()
    trace = recording.trace("blocks.depth")
    assert trace.states.dtype == torch.float32
    torch.testing.assert_close(gradscope.step_jacobians(trace), exact, rtol=0.1, atol=0.03)


def test_two_backward_passes_and_an_optimiser_are_two_ways():
    torch.manual_seed(0)
    model = Residual()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with recorded(model, depth="blocks") as recording:
        for _ in range(2):
            model(torch.randn(3, 3)).backward()
        optimizer.step()
    assert list(recording.traces) == ["blocks.depth (1)", "blocks.depth (2)"]
    for trace in recording.traces.values():
        torch.testing.assert_close(trace.cell(trace.inputs, trace.states[:-1]), trace.states[1:])


def test_without_a_backward_pass_there_are_jacobians():
    model = Residual()
    with recorded(model, depth="blocks") as recording, torch.no_grad():
        model(torch.randn(3, 3))
    trace = recording.trace("blocks.depth")
    assert trace.immediate is None
    assert gradscope.step_jacobians(trace).shape == (4, 3, 6, 6)


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


class Sized(nn.Module):
    def forward(self, *, size):
        return torch.ones(size)


def test_a_block_without_an_activation_is_named():
    model = nn.ModuleList([Sized(), Sized()])
    with (
        pytest.raises(GradscopeError, match="no block's output was the next one's input"),
        recorded(model, depth=[""]),
    ):
        model[0](size=2)


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


def test_what_torch_does_not_show_is_named():
    blocks = nn.ModuleList([Block(3) for _ in range(3)])
    model = nn.ModuleDict({"rnn": nn.GRU(3, 3), "blocks": blocks})
    with recorded(model, depth="blocks") as recording:
        x = y = torch.randn(2, 3)
        for block in blocks:
            y = y + block(Twice.apply(y))
        (model["rnn"](x)[0].sum() + y.sum()).backward()
    assert list(recording.traces) == ["rnn"]
    assert any("torch.autograd.Function" in note for note in recording.notes)


class Dense(nn.Module):
    """Each block reads the outputs of all before it."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(4 * (i + 1), 4) for i in range(4)])

    def forward(self, x):
        made = [x]
        for block in self.blocks:
            made.append(torch.tanh(block(torch.cat(made, -1))))
        return made[-1].sum()


class Skips(nn.Module):
    """The fourth block reads what the first gave."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(4, 4) for _ in range(4)])

    def forward(self, x):
        first = self.blocks[0](x)
        second = self.blocks[1](first)
        third = self.blocks[2](second)
        return self.blocks[3](torch.tanh(third) + first).sum()


@pytest.mark.parametrize("kind", [Dense, Skips])
def test_connections_to_far_later_blocks_are_named(kind):
    torch.manual_seed(0)
    model = kind()
    with (
        pytest.raises(GradscopeError, match=r"not always of one shape.* and .*dense connections"),
        recorded(model, depth="blocks"),
    ):
        model(torch.randn(2, 4)).backward()
