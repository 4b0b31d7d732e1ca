"""Loops that train in other ways: recorded, they say what plain training says, bit for bit."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import gradscope

X, Y = torch.randn(20, 8, 4, generator=torch.Generator().manual_seed(1)), torch.arange(8) % 2
LARGE = 1e3


class Model(nn.Module):
    """A fused module, and a cell in a loop that is masked between its steps."""

    def __init__(self):
        super().__init__()
        self.rnn, self.cell, self.out = nn.LSTM(4, 6), nn.GRUCell(6, 6), nn.Linear(6, 2)

    def forward(self, x):
        h = torch.zeros(x.shape[1], 6)
        for t in self.rnn(x)[0]:
            h = self.cell(t, 0.95 * h)
        return self.out(h)


def loss_of(model, part=slice(None)):
    return nn.functional.cross_entropy(model(X[:, part]), Y[part])


def plain(model, optimizer):
    optimizer.zero_grad()
    loss_of(model).backward()
    nn.utils.clip_grad_norm_(model.parameters(), LARGE)
    optimizer.step()


def with_closure(model, optimizer):
    """As Lightning steps: the gradient is made, and clipped, within the step."""

    def closure():
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), LARGE)
        return loss

    optimizer.step(closure)


def scaled(scale, weight=1.0):
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)

    def step(model, optimizer):
        optimizer.zero_grad()
        scaler.scale(weight * loss_of(model)).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), LARGE)
        scaler.step(optimizer)
        scaler.update()

    return step


def scaled_by_hand(model, optimizer):
    optimizer.zero_grad()
    (1024 * loss_of(model)).backward()
    for parameter in model.parameters():
        parameter.grad /= 1024
    optimizer.step()


def accumulated(model, optimizer):
    optimizer.zero_grad()
    for part in (slice(0, 4), slice(4, 8)):
        (loss_of(model, part) / 2).backward()
    optimizer.step()


def evaluated(model, optimizer):
    plain(model, optimizer)
    with torch.no_grad():
        model(X)
    with torch.inference_mode():
        model(X)


def checkpointed(reentrant):
    def step(model, optimizer):
        optimizer.zero_grad()
        x = X.clone().requires_grad_()
        output = checkpoint(model, x, use_reentrant=reentrant)
        nn.functional.cross_entropy(output, Y).backward()
        optimizer.step()

    return step


def several_optimizers(model, optimizer):
    optimizer.zero_grad()
    loss_of(model).backward()
    for module in (model.rnn, model.cell, model.out):
        torch.optim.SGD(module.parameters(), lr=0.1).step()


LOOPS = {
    "plain": lambda: plain,
    "closure": lambda: with_closure,
    "GradScaler": lambda: scaled(65536.0),
    "GradScaler, not a power of two": lambda: scaled(3000.0),
    "GradScaler beyond a square's range": lambda: scaled(1e30),
    "scaled by hand": lambda: scaled_by_hand,
    "accumulation": lambda: accumulated,
    "evaluation inside": lambda: evaluated,
    "reentrant checkpoint": lambda: checkpointed(True),
    "checkpoint": lambda: checkpointed(False),
    "several optimisers": lambda: several_optimizers,
}


def trained(step, watched=True, updates=4):
    torch.manual_seed(0)
    model = Model()
    optimizer, scope = torch.optim.SGD(model.parameters(), lr=0.1), gradscope.attach(model)
    for _ in range(updates):
        if watched:
            with scope.every(1):
                step(model, optimizer)
        else:
            step(model, optimizer)
    return model, scope


@pytest.fixture(scope="module")
def reference():
    return trained(plain)[1].scalars()


@pytest.mark.parametrize("loop", LOOPS)
def test_every_loop_keeps_its_bits_and_says_what_plain_training_says(loop, reference):
    watched, scope = trained(LOOPS[loop]())
    alone, _ = trained(LOOPS[loop](), watched=False)
    for mine, other in zip(watched.parameters(), alone.parameters(), strict=True):
        assert torch.equal(mine, other)
    scalars = scope.scalars()
    if loop != "accumulation":  # whose two passes are recorded apart
        assert scalars.keys() == reference.keys()
        for name, value in reference.items():
            assert scalars[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name
    assert scalars["grad_norm_preclip"] == pytest.approx(reference["grad_norm_preclip"], rel=1e-4)
    found = {finding.name for finding in scope.diagnose().findings}
    assert not found & {"clipping_always", "not_finite"}
    said = [note for note in scope.last.notes if "the loss was multiplied" in note]
    assert bool(said) == ("scaled" in loop or "GradScaler" in loop)


def test_of_several_updates_in_a_block_the_first_is_read():
    def twice(model, optimizer):
        plain(model, optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1e-6)
        optimizer.step()
        plain(model, optimizer)

    scope = trained(twice)[1]
    assert "clipping_always" not in {finding.name for finding in scope.diagnose().findings}
    scalars = scope.scalars()
    assert scalars["grad_norm_postclip"] == pytest.approx(scalars["grad_norm_preclip"])
    assert any("its weights changed within the recorded block" in n for n in scope.last.notes)


def test_an_update_that_a_scaler_left_out_is_said():
    _, scope = trained(scaled(3e38, weight=1e4), updates=1)
    assert scope.last.update_skipped
    assert any("scaler left out the update" in note for note in scope.last.notes)
    assert "not_finite" not in {finding.name for finding in scope.diagnose().findings}


def test_an_optimiser_in_a_gradients_hook_is_seen():
    torch.manual_seed(0)
    model = Model()
    optimizers = {p: torch.optim.SGD([p], lr=0.1) for p in model.parameters()}

    def step(parameter):
        optimizers[parameter].step()
        optimizers[parameter].zero_grad()

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(step)
    scope = gradscope.attach(model)
    with scope.every(1) as recording:
        loss_of(model).backward()
    assert set(recording.gradients) == {name for name, _ in model.named_parameters()}
    assert all(norms.after == norms.before > 0 for norms in recording.gradients.values())


def test_a_compiled_loop_is_recorded_as_it_was_before_compilation():
    torch.manual_seed(0)
    model = Model()
    compiled, scope = torch.compile(model, backend="eager"), gradscope.attach(model)
    with scope.record() as recording:
        nn.functional.cross_entropy(compiled(X), Y).backward()
    assert {trace.time for trace in recording.traces.values()} == {20}
    assert any("ran as it was before compilation" in note for note in recording.notes)
    with scope.record() as recording:
        loss_of(model).backward()
    assert recording.notes == []
    whole = gradscope.attach(compiled)
    with whole.record() as recording:
        nn.functional.cross_entropy(compiled(X), Y).backward()
    assert list(recording.traces) == ["rnn", "cell"]


def test_hooks_that_change_a_gradient_within_the_loop_are_seen():
    """A clamp at every state: what is recorded is what goes on from there."""
    torch.manual_seed(0)
    cell, h = nn.GRUCell(4, 6).double(), torch.zeros(8, 6, dtype=torch.float64)
    scope = gradscope.attach(cell)
    with scope.record() as recording:
        for x in X.double():
            h = cell(x, h)
            h.register_hook(lambda gradient: gradient.clamp(-0.01, 0.01))
        h.square().sum().backward()
    [trace] = recording.traces.values()
    adjoints = gradscope.adjoints(trace).values()
    assert float(adjoints[1:].abs().max()) == pytest.approx(0.01)
    given = gradscope.gradient(trace)["weight_hh"]
    torch.testing.assert_close(given, cell.weight_hh.grad, rtol=1e-9, atol=1e-12)


class Uncopied(nn.GRUCell):
    def __deepcopy__(self, memo):
        raise TypeError("no copies of me")


def test_whatever_goes_wrong_a_loop_is_not_ended():
    model = nn.ModuleDict({"cell": Uncopied(4, 6)})
    scope = gradscope.attach(model)

    def loop():
        for block in range(2):
            with scope.every(2):
                torch.stack([model["cell"](x) for x in X]).sum().backward()
                yield block

    with pytest.warns(
        UserWarning, match="nothing was recorded at block 0: 'cell' cannot be copied"
    ):
        done = list(loop())
    assert done == [0, 1]
    assert scope.train_step == 2
    with pytest.raises(KeyError, match="mine"), scope.every(3):
        raise KeyError("mine")
    assert "forward" not in vars(model["cell"])


def test_cells_under_autocast_are_recorded():
    torch.manual_seed(0)
    cell = nn.ModuleDict({"cell": nn.GRUCell(4, 6), "out": nn.Linear(6, 2)})
    exact = copy.deepcopy(cell)
    logs = []
    for model, lowered in ((exact, False), (cell, True)):
        scope = gradscope.attach(model)
        with scope.record() as recording, torch.autocast("cpu", torch.bfloat16, enabled=lowered):
            h = torch.zeros(8, 6)
            for x in X:
                h = model["cell"](x, h)
            loss = nn.functional.cross_entropy(model["out"](h).float(), Y)
            loss.backward()
        logs.append(gradscope.adjoints(recording.trace("cell")).log_norm())
    torch.testing.assert_close(*logs, rtol=0, atol=0.1)
    assert math.isfinite(float(logs[1][1]))
