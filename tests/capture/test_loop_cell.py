"""Products with the Jacobians of a loop's steps, its layout, and what it is called by."""

import pytest
import torch
from torch import Size, nn

import gradscope
from gradscope.capture._loop_cell import Layout
from gradscope.errors import GradscopeError
from tests.capture.conftest import loop_of
from tests.capture.loop_models import (
    BATCH,
    LENGTH,
    WIDTH,
    Equilibrium,
    Levels,
    Looped,
    Sampler,
    Tiny,
    Unrolled,
    drawn,
)

#: of sums of a few hundred products in float64
CLOSE = {"rtol": 1e-10, "atol": 1e-12}
KINDS = {
    "tiny recursive": (Tiny, (BATCH, LENGTH, 2)),
    "looped list": (lambda: Looped(blocks=3, turns=2), (BATCH, LENGTH, 2)),
    "unrolled descent": (Unrolled, (BATCH, WIDTH)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_products_with_jacobians_are_each_others_transpose(kind):
    make, shape = KINDS[kind]
    torch.manual_seed(0)
    _, trace, _ = loop_of(make().double(), drawn(*shape))
    linear, like = trace.linearisation(), trace.states.detach()[1:]
    v, a = drawn(*like.shape, seed=2), drawn(*like.shape, seed=3)
    moved, (back, by_input) = linear.jvp(v), linear.vjp(a)
    torch.testing.assert_close((moved * a).sum((1, 2)), (back * v).sum((1, 2)), **CLOSE)
    assert not by_input.any()
    jacobian = trace.jacobians(1, 2)
    torch.testing.assert_close((jacobian @ v[1:2, ..., None])[..., 0], moved[1:2], **CLOSE)


def test_a_step_of_a_tiny_model_is_its_derivative():
    torch.manual_seed(0)
    model, x = Tiny().double(), drawn(BATCH, LENGTH, 2)
    _, trace, _ = loop_of(model, x)
    net, inject, cell = model.net["step"], model.embed(x)[0].detach(), trace.cell

    def step(state, high_next):
        low, high = cell.layout.tensors(state.expand(BATCH, -1))
        low, high = low[:1], high[:1]
        if high_next:
            high = net(high, low)
        else:
            low = net(low, high + inject)
        return torch.cat((low.flatten(), high.flatten()))

    for t, high_next in ((1, False), (3, True)):
        before = trace.states.detach()[t - 1, 0]
        expected = torch.autograd.functional.jacobian(
            lambda s, high_next=high_next: step(s, high_next), before
        )
        torch.testing.assert_close(trace.jacobians(t - 1, t)[0, 0], expected, **CLOSE)


def test_a_large_state_forms_no_matrix():
    torch.manual_seed(0)
    model = nn.ModuleDict({"mix": nn.Sequential(nn.Conv1d(1, 1, 3, padding=1), nn.Tanh())})
    scope, x = gradscope.attach(model), drawn(1, 1, 50_000).float()
    with scope.record():
        for _ in range(5):
            x = model["mix"](x)
        x.square().mean().backward()
    trace = scope.trace("mix")
    assert trace.states.shape[-1] == 50_000  # a Jacobian would be 10 GB
    assert torch.isfinite(gradscope.largest_lyapunov_exponent(trace).exponents[0])
    assert set(scope.tables()) >= {"adjoint_norms"}
    scope.diagnose()


def test_the_first_exponents_of_a_large_state_form_no_matrix(monkeypatch):
    """A linear map whose eigenvalues are known: ln 0.9, ln 0.8 and ln 0.7, and the rest below."""
    size, known = 600, torch.tensor([0.9, 0.8, 0.7]).double().log()
    basis = torch.linalg.qr(drawn(size, size))[0]
    rates = torch.cat((known.exp(), torch.linspace(0.3, 0.0, size - 3)))
    model = nn.ModuleDict({"net": nn.Linear(size, size, bias=False)}).double()
    with torch.no_grad():
        model["net"].weight.copy_(basis * rates @ basis.mT)
    scope, x = gradscope.attach(model, loops=["net"], probes=[]), drawn(1, size)
    with scope.record():
        for _ in range(80):
            x = model["net"](x)
    trace = scope.trace("net")
    monkeypatch.delattr(type(trace.cell), "jacobian")
    spectrum = gradscope.lyapunov_spectrum(trace, k=3, burn_in=40)
    torch.testing.assert_close(spectrum.exponents, known, rtol=0, atol=1e-3)
    low, high = spectrum.intervals.unbind(-1)
    assert bool(((low - 1e-3 <= known) & (known <= high + 1e-3)).all())
    one = gradscope.largest_lyapunov_exponent(trace, burn_in=40).exponents
    torch.testing.assert_close(one, spectrum.exponents[:1], rtol=0, atol=1e-3)


@pytest.mark.parametrize("axis", [0, 1, None])
def test_a_layout_is_undone(axis):
    layout = Layout([Size((3, 3, 2)), Size((3, 3))], axis)
    parts = [drawn(3, 3, 2), drawn(3, 3, seed=2)]
    rows = layout.rows(parts)
    assert rows.shape == ((1, 27) if axis is None else (3, 9))
    for part, again in zip(parts, layout.tensors(rows), strict=True):
        assert torch.equal(part, again)
    if axis == 1:
        assert torch.equal(rows[1, :6].view(3, 2), parts[0][:, 1])


def test_its_parts_and_weights_have_names():
    torch.manual_seed(0)
    _, trace, recording = loop_of(Levels().double(), drawn(BATCH, LENGTH, 2))
    cell, size = trace.cell, LENGTH * WIDTH
    assert cell.blocks == {"s0": slice(0, size), "s1": slice(size, 2 * size)}
    assert torch.equal(cell.hidden(trace.states[-1]), trace.states[-1][:, size:])
    names = [name for name, _ in cell.named_parameters()]
    assert "low.up.weight" in names
    assert "high.up.weight" in names
    assert recording.modules["low+high"][0] is not None
    with pytest.raises(GradscopeError, match="the weights are the attached model's"):
        cell.reset_parameters()
    assert torch.equal(cell.initial_state(2), trace.states[0, :2])


def test_some_of_the_samples_are_as_they_are_among_all():
    torch.manual_seed(0)
    _, trace, _ = loop_of(Tiny().double(), drawn(BATCH, LENGTH, 2))
    some = trace.sequences(torch.tensor([2]))
    torch.testing.assert_close(some.jacobians(3, 4)[0, 0], trace.jacobians(3, 4)[0, 2], **CLOSE)
    again = trace.cell.scan(trace.inputs, trace.states[0].detach())
    torch.testing.assert_close(again, trace.states.detach(), **CLOSE)


@pytest.mark.parametrize(
    ("make", "shape", "repeats"),
    [
        (Equilibrium, (BATCH, WIDTH), True),
        (lambda: Tiny(cycles=3), (BATCH, LENGTH, 2), True),
        (Sampler, (BATCH, WIDTH), False),
    ],
)
def test_whether_it_may_go_on_and_on(make, shape, repeats):
    torch.manual_seed(0)
    _, trace, _ = loop_of(make().double(), drawn(*shape))
    assert trace.cell.repeats() == repeats
