"""Depth as time: residual stacks and transformers."""

import pytest
import torch
from torch import nn

import gradscope
from gradscope.errors import GradscopeError


class Block(nn.Module):
    def __init__(self, size, dropout=0.0):
        super().__init__()
        self.a, self.b, self.dropout = (
            nn.Linear(size, size),
            nn.Linear(size, size),
            nn.Dropout(dropout),
        )

    def forward(self, x, scale=1.0):
        return x + scale * self.dropout(self.b(torch.tanh(self.a(x))))


class Residual(nn.Module):
    def __init__(self, layers=4, size=6, dropout=0.0):
        super().__init__()
        self.first, self.blocks, self.out = (
            nn.Linear(3, size),
            nn.ModuleList([Block(size, dropout) for _ in range(layers)]),
            nn.Linear(size, 1),
        )

    def forward(self, x, keep=None):
        x = self.first(x)
        for block in self.blocks:
            x = block(x, scale=0.5)
            if keep is not None:
                x.retain_grad()
                keep.append(x)
        return self.out(x).square().sum()


@pytest.mark.parametrize("depth", [True, "blocks"])
def test_adjoints_and_jacobians_across_layers(depth):
    torch.manual_seed(0)
    model, x = Residual().double(), torch.randn(3, 3, dtype=torch.float64)
    scope = gradscope.attach(model, depth=depth)
    with scope.record() as recording:
        model(x).backward()
    trace = recording.trace("blocks.depth")
    keep = []
    model.zero_grad()
    model(x, keep).backward()
    expected = torch.stack([state.grad for state in keep])
    torch.testing.assert_close(
        gradscope.adjoints(trace).values()[1:], expected, rtol=1e-10, atol=1e-12
    )
    J = gradscope.step_jacobians(trace)
    assert J.shape == (4, 3, 6, 6)
    for layer, block in enumerate(model.blocks):
        s = trace.states.detach()[layer, 1]
        torch.testing.assert_close(
            J[layer, 1],
            torch.autograd.functional.jacobian(lambda s, b=block: b(s, scale=0.5), s),
            rtol=1e-10,
            atol=1e-12,
        )
    total = gradscope.gradient(trace)
    for name, value in total.items():
        torch.testing.assert_close(
            value,
            model.blocks.get_parameter(name.removeprefix("layers.")).grad,
            rtol=1e-9,
            atol=1e-12,
        )
    top = gradscope.top_singular_values(trace, 4, 0, 2, sequence=1)
    exact = torch.linalg.svdvals((J[3] @ J[2] @ J[1] @ J[0])[1])[:2].log()
    torch.testing.assert_close(top, exact, rtol=1e-6, atol=1e-6)


def test_of_a_stack_in_a_loop_the_last_time_is_shown():
    torch.manual_seed(0)
    model = Residual(3)
    scope = gradscope.attach(model, depth="blocks")
    for times, names in ((2, ["blocks.depth (1)", "blocks.depth (2)"]), (6, ["blocks.depth"])):
        inputs = torch.randn(times, 5, 3)
        with scope.record() as recording:
            sum(model(x) for x in inputs).backward()
        assert list(recording.traces) == names
        torch.testing.assert_close(
            recording.trace(names[-1]).states[0], model.first(inputs[-1]), rtol=0, atol=0
        )
        assert ("blocks: went through 6 times; the last time is shown" in recording.notes) == (
            times == 6
        )
        assert not any("not connected" in note for note in recording.notes)


def test_a_transformer_encoder():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, dtype=torch.float64)
    model = nn.TransformerEncoder(layer, 3)
    scope = gradscope.attach(model, depth=True)
    with scope.record() as recording:
        model(torch.randn(2, 5, 8, dtype=torch.float64)).square().sum().backward()
    trace = recording.trace("layers.depth")
    assert trace.states.shape == (4, 2, 40)
    assert gradscope.adjoints(trace).log_norm().isfinite().all()
    assert scope.tables()["adjoint_norms"]["t"].max() == 3


def test_dropout_leaves_the_adjoints_and_says_why_there_are_no_jacobians():
    torch.manual_seed(0)
    model = Residual(dropout=0.5)
    before = torch.get_rng_state()
    model(torch.randn(3, 3)).backward()
    after = torch.get_rng_state()
    torch.set_rng_state(before)
    scope = gradscope.attach(model, depth="blocks")
    with scope.record() as recording:
        model(torch.randn(3, 3)).backward()
    assert torch.equal(torch.get_rng_state(), after)
    trace = recording.trace("blocks.depth")
    assert gradscope.adjoints(trace).log_norm().isfinite().all()
    with pytest.raises(GradscopeError, match=r"model\.eval\(\)"):
        gradscope.step_jacobians(trace)


def test_what_has_no_depth_is_named():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5))
    with (
        pytest.raises(GradscopeError, match="blocks that keep the shape"),
        gradscope.attach(model, depth=True).record(),
    ):
        model(torch.randn(2, 3))
    with pytest.raises(
        GradscopeError, match=r"the model has no module 'block'; did you mean 'blocks'"
    ):
        gradscope.attach(Residual(), depth="block")
    with pytest.raises(GradscopeError, match="no recurrence was found in Linear"):
        gradscope.attach(nn.Linear(2, 2))
