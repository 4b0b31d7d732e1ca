"""What a model does between two calls of a recurrence is part of the step, against autograd."""

import pytest
import torch
from torch import nn

import gradscope
from tests.capture.conftest import recorded

TIME, BATCH, INPUT, HIDDEN = 6, 4, 3, 5


class Between(nn.Module):
    """A loop that does something to the state, or makes its input of it, between two steps.

    Every state that a call makes is kept, for autograd to be asked about.
    """

    def __init__(self, core, change=None, read=None, plain=False):
        super().__init__()
        self.core, self.change, self.read, self.plain = core, change, read, plain
        self.extra = nn.Linear(HIDDEN, HIDDEN).double()
        self.norm = nn.BatchNorm1d(HIDDEN).double()
        self.made = []

    def step(self, x, state):
        core = self.core.forward if self.plain else self.core
        if not isinstance(self.core, nn.RNNBase):
            after = core(x, state)  # an LSTMCell makes its h of the c that it gives
            return tuple(p.clone() for p in after) if isinstance(after, tuple) else after.clone()
        if not isinstance(state, tuple):
            return core(x[None], state[None])[1][0]
        _, (h, c) = core(x[None], (state[0][None], state[1][None]))
        return h[0], c[0]

    def forward(self, x):
        self.made = []
        zero = torch.zeros(BATCH, HIDDEN, dtype=torch.float64)
        lstm = isinstance(self.core, nn.LSTM | nn.LSTMCell)
        state, total = ((zero, zero) if lstm else zero), 0.0
        for t, given in enumerate(x):
            if t and self.change is not None:
                state = self.change(self, state, t)
            if t and self.read is not None:
                given = self.read(self, given, state)
            state = self.step(given, state)
            h = state[0] if lstm else state
            self.made.append(state)
            total = total + (t + 1) * h.clone().sin().sum()
        return total + (state[1].square().sum() if lstm else 0.0)


def each(what):
    """What is done to every tensor of a state."""

    def change(model, state, t):
        parts = state if isinstance(state, tuple) else (state,)
        done = tuple(what(model, part, t) for part in parts)
        return done if isinstance(state, tuple) else done[0]

    return change


def mask(model, part, t):
    return part * torch.tensor([1.0, 0.0 if t == 3 else 1.0, 1.0, 0.5]).double()[:, None]


def squeezed(model, part, t):
    return part.unsqueeze(0).transpose(0, 1).squeeze(1).clone()


def dropped(model, part, t):
    return nn.functional.dropout(part, 0.3, training=True)


def projected(model, part, t):
    return part + 0.3 * torch.tanh(model.extra(part))


def in_place(model, part, t):
    if t == 2:
        part[1] = 0.0
    return part


CHANGES = {
    "mask": each(mask),
    "squeeze": each(squeezed),
    "dropout": each(dropped),
    "projection": each(projected),
    "in place": each(in_place),
    "none": None,
}


def fed_back(model, x, state):
    h = state[0] if isinstance(state, tuple) else state
    return x + torch.tanh(model.extra(h))[:, :INPUT]


READS = {"own inputs": None, "fed back": fed_back}
CORES = {
    "LSTMCell": lambda: nn.LSTMCell(INPUT, HIDDEN),
    "GRUCell": lambda: nn.GRUCell(INPUT, HIDDEN),
    "LSTM": lambda: nn.LSTM(INPUT, HIDDEN),
    "GRU": lambda: nn.GRU(INPUT, HIDDEN),
}


def jacobian(model, x, t):
    """d(state made at t + 1)/d(state made at t) of the first sequence, by autograd."""
    torch.manual_seed(5)
    model(x)
    before, after = (
        state if isinstance(state, tuple) else (state,)
        for state in (model.made[t], model.made[t + 1])
    )
    rows = []
    for part in after:
        for unit in range(HIDDEN):
            grads = torch.autograd.grad(
                part[0, unit], before, retain_graph=True, materialize_grads=True, allow_unused=True
            )
            rows.append(torch.cat([grad[0] for grad in grads]))
    return torch.stack(rows)


@pytest.mark.parametrize("plain", [False, True], ids=["called", "by .forward()"])
@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("core", CORES)
def test_adjoints_and_jacobians_are_autograds(core, change, read, plain):
    torch.manual_seed(0)
    model = Between(CORES[core]().double(), CHANGES[change], READS[read], plain)
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    torch.manual_seed(5)
    loss = model(x)
    in_place_keeps = change == "in place"  # the tensors kept were changed, so ask their gradient
    kept = [state if isinstance(state, tuple) else (state,) for state in model.made]
    if not in_place_keeps:
        flat = [part for state in kept for part in state]
        expected = torch.autograd.grad(loss, flat)
    loss = loss.detach()
    model.zero_grad()
    with recorded(model) as recording:
        torch.manual_seed(5)
        again = model(x)
        again.backward()
    assert torch.equal(again, loss)
    set_anew = change in ("mask", "in place")
    assert [" was set anew 1 time " in note for note in recording.notes] == [True] * set_anew
    [trace] = recording.traces.values()
    assert trace.time == TIME
    adjoints = gradscope.adjoints(trace).values()[1:]
    if not in_place_keeps:
        parts = len(kept[0])
        rows = [torch.cat(expected[parts * t : parts * (t + 1)], -1) for t in range(TIME)]
        torch.testing.assert_close(adjoints, torch.stack(rows), rtol=1e-9, atol=1e-12)
        for t in (1, 3):
            torch.testing.assert_close(
                trace.jacobians(t + 1, t + 2)[0, 0],
                jacobian(model, x, t),
                rtol=1e-9,
                atol=1e-12,
            )
    else:
        assert not trace.jacobians(2, 3)[0, 1].any() or read == "fed back"
    again = trace.cell(trace.inputs, trace.states[:-1])
    torch.testing.assert_close(again, trace.states[1:], rtol=1e-9, atol=1e-12)


def test_training_keeps_every_bit():
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    gradients = []
    for watched in (False, True):
        torch.manual_seed(0)
        model = Between(nn.LSTMCell(INPUT, HIDDEN).double(), CHANGES["dropout"], fed_back)
        if watched:
            with recorded(model):
                model(x).backward()
        else:
            model(x).backward()
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
        gradients[-1].append(torch.rand(3))  # no random number was drawn beside
    assert all(map(torch.equal, *gradients))
    assert "forward" not in vars(model.core)


def test_samples_that_meet_between_calls_are_said():
    torch.manual_seed(0)
    model = Between(nn.GRUCell(INPUT, HIDDEN).double(), each(lambda m, part, t: m.norm(part)))
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    with recorded(model) as recording:
        model(x).backward()
    assert len(recording.traces) == 1
    assert "the samples of a batch meet between two calls" in recording.notes[0]
