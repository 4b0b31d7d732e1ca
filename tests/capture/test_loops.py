"""Loops over their own output, found without being told, against autograd with all gradients on."""

import copy

import pytest
import torch
from torch import nn

import gradscope
from gradscope.errors import GradscopeError
from tests.capture.conftest import loop_of, recorded
from tests.capture.loop_models import (
    BATCH,
    LENGTH,
    WIDTH,
    ByHand,
    Equilibrium,
    InPlace,
    Inside,
    Levels,
    Looped,
    Sampler,
    Tiny,
    Unrolled,
    drawn,
)

#: of sums of a few hundred products in float64
CLOSE = {"rtol": 1e-10, "atol": 1e-12}


def loud(model):
    """The same model with all gradients on: nothing is detached, and no_grad has no effect."""
    twin = copy.deepcopy(model)
    twin.hushed = False
    return twin


class Aloud(torch.overrides.TorchFunctionMode):
    """Autograd cannot be switched off."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch._C._set_grad_enabled:
            return None
        return func(*args, **(kwargs or {}))


def called(model, names, x):
    """What these modules gave, call by call, and its gradient, with all gradients on."""
    made = []

    def keep(module, args, output):
        made.append(output)

    handles = [model.get_submodule(name).register_forward_hook(keep) for name in names]
    torch.manual_seed(5)
    with Aloud():
        loss = model(x)
        gradients = torch.autograd.grad(loss, made, retain_graph=True, materialize_grads=True)
        loss.backward()
    for handle in handles:
        handle.remove()
    return [(tensor.detach(), grad) for tensor, grad in zip(made, gradients, strict=True)]


def written(trace, t, rows):
    """The tensor of a state that the call of step t wrote."""
    loop, states = trace.cell.program.loop, trace.cell.program.states
    (index,) = [
        i
        for i, value in enumerate(states.rows[t])
        if value in loop.ways.made_by and states.fresh[t][i]
    ]
    return trace.cell.layout.tensors(rows[t])[index]


# --- against autograd -----------------------------------------------------------------------------

KINDS = {
    "tiny recursive": (Tiny, ["net.step"], (BATCH, LENGTH, 2)),
    "tiny, all gradients on": (lambda: Tiny(hushed=False), ["net.step"], (BATCH, LENGTH, 2)),
    "tiny, supervised twice": (lambda: Tiny(supervisions=2), ["net.step"], (BATCH, LENGTH, 2)),
    "hierarchical": (Levels, ["low", "high"], (BATCH, LENGTH, 2)),
    "looped": (Looped, ["blocks.0"], (BATCH, LENGTH, 2)),
    "looped, an adapter": (lambda: Looped(adapter=True), ["blocks.0"], (BATCH, LENGTH, 2)),
    "looped list": (lambda: Looped(blocks=3), ["blocks.0", "blocks.1", "blocks.2"], (3, 4, 2)),
    "equilibrium": (Equilibrium, ["map"], (BATCH, WIDTH)),
    "hushed inside": (Inside, ["outer"], (BATCH, WIDTH)),
    "unrolled descent": (Unrolled, ["step"], (BATCH, WIDTH)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_adjoints_and_gradients_are_those_with_all_gradients_on(kind):
    make, names, shape = KINDS[kind]
    torch.manual_seed(0)
    model = make().double()
    twin, x = loud(model), drawn(*shape)
    made = called(twin, names, x)
    _, trace, recording = loop_of(model, x)
    assert trace.time == len(made)
    assert any("found as a loop" in note for note in recording.notes)
    adjoints = gradscope.adjoints(trace).values()
    for t, (tensor, gradient) in enumerate(made, start=1):
        state = written(trace, t, trace.states.detach())
        torch.testing.assert_close(state, tensor, **CLOSE)
        torch.testing.assert_close(written(trace, t, adjoints), gradient, **CLOSE)
    for name, value in gradscope.gradient(trace).items():
        if not name.startswith("adapter"):  # it is used before the first call as well
            torch.testing.assert_close(value, twin.get_parameter(name).grad, **CLOSE)


@pytest.mark.parametrize("kind", KINDS)
def test_as_trained_the_gradients_are_the_models_own(kind):
    make, _, shape = KINDS[kind]
    torch.manual_seed(0)
    model = make().double()
    _, trace, _ = loop_of(model, drawn(*shape))
    own = gradscope.Trace(
        trace.cell.as_trained(), trace.inputs, trace.states, immediate=trace.immediate
    )
    for name, value in gradscope.gradient(own).items():
        if not name.startswith("adapter"):
            expected = model.get_parameter(name).grad
            expected = torch.zeros_like(value) if expected is None else expected
            torch.testing.assert_close(value, expected, **CLOSE)


def test_an_euler_sampler_is_a_recurrence_of_its_points():
    torch.manual_seed(0)
    model, x = Sampler().double(), drawn(BATCH, WIDTH).requires_grad_()
    _, trace, _ = loop_of(model, x)
    assert trace.time == model.steps
    model.zero_grad()
    loss = model(x)
    expected = torch.autograd.grad(loss, model.made, retain_graph=True)
    torch.testing.assert_close(trace.states.detach(), torch.stack(model.made).detach(), **CLOSE)
    torch.testing.assert_close(gradscope.adjoints(trace).values(), torch.stack(expected), **CLOSE)
    loss.backward()
    for name, value in gradscope.gradient(trace).items():
        torch.testing.assert_close(value, model.get_parameter(name).grad, **CLOSE)


def test_a_cell_written_out_of_single_layers():
    torch.manual_seed(0)
    model, x = ByHand().double(), drawn(BATCH, 5, 2)
    name, trace, recording = loop_of(model, x)
    assert name == "gate+new"
    assert recording.found == {"gate+new": "2 Linear, a loop over their own output"}
    assert (trace.time, trace.states.shape[-1]) == (5, WIDTH)
    for parameter in ("gate.weight", "new.weight"):
        torch.testing.assert_close(
            gradscope.gradient(trace)[parameter], model.get_parameter(parameter).grad, **CLOSE
        )


def test_what_is_changed_in_place_and_drawn_between_two_calls():
    torch.manual_seed(0)
    model, x = InPlace().double(), drawn(BATCH, LENGTH, WIDTH)
    _, trace, _ = loop_of(model, x)
    for parameter, value in gradscope.gradient(trace).items():
        torch.testing.assert_close(value, model.get_parameter(parameter).grad, **CLOSE)
    assert not trace.jacobians(1, 2)[0][:, :, :WIDTH].any()  # its first position is set


@pytest.mark.parametrize(("shape", "batch", "size"), [((5, 3, 6), 3, 30), ((5, 6), 1, 30)])
def test_samples_lie_along_the_axis_that_keeps_them_apart(shape, batch, size):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(WIDTH, 2, 8, dropout=0.1)

        def forward(self, x):
            for _ in range(4):
                x = self.layer(x)
            return x.sin().sum()

    torch.manual_seed(0)
    model = Tied().double()
    _, trace, _ = loop_of(model, drawn(*shape))
    assert trace.states.shape[1:] == (batch, size)
    for parameter, value in gradscope.gradient(trace).items():
        torch.testing.assert_close(value, model.get_parameter(parameter).grad, **CLOSE)


# --- how it is trained ----------------------------------------------------------------------------


def test_the_training_keeps_every_bit():
    losses = []
    for scoped in (False, True):
        torch.manual_seed(0)
        model = Tiny(supervisions=2)
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        scope = gradscope.attach(model, loops=scoped or ["net.step"])
        for step in range(3):
            x = drawn(BATCH, LENGTH, 2, seed=step).float()
            with scope.every(1 if scoped else 10):
                optimizer.zero_grad()
                loss = model(x)
                loss.backward()
                optimizer.step()
            losses.append(loss.item())
    assert losses[:3] == losses[3:]
    assert scope.places == {"net.step": "Net, a loop over its own output"}


def test_without_a_backward_pass_there_are_states_and_jacobians():
    torch.manual_seed(0)
    model = Looped().double()
    with recorded(model) as recording, torch.no_grad():
        model(drawn(BATCH, LENGTH, 2))
    trace = recording.trace("blocks.0")
    assert trace.immediate is None
    assert trace.jacobians().shape == (4, BATCH, LENGTH * WIDTH, LENGTH * WIDTH)
    assert any("4 of its 4 calls were made without a gradient" in n for n in recording.notes)


def test_two_passes_are_two_stretches():
    torch.manual_seed(0)
    model = Looped().double()
    with recorded(model) as recording:
        (model(drawn(BATCH, LENGTH, 2)) + model(drawn(BATCH, LENGTH, 2, seed=2))).backward()
    assert list(recording.traces) == ["blocks.0 (1)", "blocks.0 (2)"]


def test_weights_that_change_end_a_chain():
    torch.manual_seed(0)
    model, x = Looped().double(), drawn(BATCH, LENGTH, WIDTH)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with recorded(model) as recording:
        h = x
        for turn in range(6):
            h = model.blocks[0](h.detach() if turn == 3 else h, x)
            if turn == 2:
                h.square().mean().backward()
                optimizer.step()
    assert recording.trace("blocks.0").time == 3
    assert any("3 later calls are left out" in note for note in recording.notes)


def test_half_precision_and_a_single_sample():
    torch.manual_seed(0)
    model = Tiny().bfloat16()
    _, trace, _ = loop_of(model, drawn(1, LENGTH, 2).bfloat16())
    assert trace.states.dtype == torch.float32
    assert gradscope.adjoints(trace).log_norm().isfinite().all()


# --- what is asked for ----------------------------------------------------------------------------


def test_names_are_taken_as_they_are():
    torch.manual_seed(0)
    model, x = Looped(blocks=2).double(), drawn(BATCH, LENGTH, 2)
    scope = gradscope.attach(model, loops=["blocks.0"])
    with scope.record():
        model(x).backward()
    assert list(scope.places) == ["blocks.0"]
    with pytest.raises(GradscopeError, match="no recurrence was found in Looped"):
        gradscope.attach(model, loops=False)


def test_a_loop_beside_a_known_recurrence():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.map = nn.LSTM(WIDTH, WIDTH), Equilibrium()

        def forward(self, x):
            return self.map(self.lstm(x[None])[0][0])

    torch.manual_seed(0)
    model = Both().double()
    with recorded(model) as recording:
        model(drawn(BATCH, WIDTH)).backward()
    assert list(recording.traces) == ["lstm", "map.map"]
