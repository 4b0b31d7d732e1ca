"""Modules called once a step: torch's cells, ours, and a user's own."""

import pytest
import torch
from torch import nn

import gradscope
from gradscope.cells.lstm import LSTM
from gradscope.errors import GradscopeError

TIME, BATCH, INPUT, HIDDEN = 6, 3, 4, 5


class Loop(nn.Module):
    """Reads h at every step in two ways, and c at the end."""

    def __init__(self, cell, start=None):
        super().__init__()
        self.cell, self.start, self.out = cell, start, nn.Linear(HIDDEN, 2, dtype=torch.float64)

    def forward(self, x):
        state, total = self.start, 0.0
        for each in x:
            state = self.cell(each, state)
            h = state[0] if isinstance(state, tuple) else state
            total = total + self.out(h[..., :HIDDEN]).square().sum() + h.sin().sum()
        return total + (state[1].square().sum() if isinstance(state, tuple) else 0.0)


def data():
    torch.manual_seed(1)
    return torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)


def check_against_autograd(trace, model, x, parts):
    """States made one tensor each, so that autograd gives dL/ds_t."""
    states = [trace.states.detach()[0]]
    loss = 0.0
    for t, each in enumerate(x):
        before = tuple(states[-1].split(parts, -1)) if len(parts) > 1 else states[-1]
        after = model.cell(each, before)
        s = torch.cat(after, -1) if isinstance(after, tuple) else after
        if t == 0:
            s = s.detach().requires_grad_() if not s.requires_grad else s
        s.retain_grad()
        states.append(s)
        h = s[:, : parts[0]]
        loss = loss + model.out(h[..., :HIDDEN]).square().sum() + h.sin().sum()
    if len(parts) > 1:
        loss = loss + states[-1][:, parts[0] :].square().sum()
    loss.backward()
    expected = torch.stack([s.grad for s in states[1:]])
    torch.testing.assert_close(
        gradscope.adjoints(trace).values()[1:], expected, rtol=1e-9, atol=1e-11
    )


@pytest.mark.parametrize(
    "made",
    [
        lambda: nn.LSTMCell(INPUT, HIDDEN),
        lambda: nn.GRUCell(INPUT, HIDDEN),
        lambda: nn.RNNCell(INPUT, HIDDEN),
        lambda: nn.RNNCell(INPUT, HIDDEN, bias=False, nonlinearity="relu"),
    ],
)
def test_torch_cells_in_a_loop(made):
    torch.manual_seed(0)
    model, x = Loop(made().double()), data()
    scope = gradscope.attach(model)
    with scope.record() as recording:
        model(x).backward()
    trace = recording.trace("cell")
    for name, value in gradscope.gradient(trace).items():
        torch.testing.assert_close(value, getattr(model.cell, name).grad, rtol=1e-9, atol=1e-11)
    model.zero_grad()
    check_against_autograd(
        trace, model, x, [HIDDEN, HIDDEN] if isinstance(model.cell, nn.LSTMCell) else [HIDDEN]
    )


def test_our_own_cells_in_a_loop():
    cell = LSTM(INPUT, hidden_size=HIDDEN, peepholes=True, dtype=torch.float64)
    model, x = Loop(cell, start=torch.zeros(BATCH, 2 * HIDDEN, dtype=torch.float64)), data()
    with gradscope.attach(model).record() as recording:
        model(x).backward()
    for name, value in gradscope.gradient(recording.trace("cell")).items():
        torch.testing.assert_close(value, getattr(cell, name).grad, rtol=1e-9, atol=1e-11)


class Highway(nn.Module):
    """A step that no library knows, with a state of two tensors of different shapes."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(INPUT + HIDDEN, HIDDEN), nn.Linear(HIDDEN, 6)

    def forward(self, x, state):
        h, memory = state
        h = torch.tanh(self.a(torch.cat((x, h), -1)) + memory.flatten(1)[:, :1])
        return h, 0.9 * memory + self.b(h).reshape(-1, 2, 3)


def highway_start():
    return torch.zeros(BATCH, HIDDEN, dtype=torch.float64), torch.ones(
        BATCH, 2, 3, dtype=torch.float64
    )


def test_a_users_own_step():
    torch.manual_seed(0)
    model, x = Loop(Highway().double(), start=highway_start()), data()
    scope = gradscope.attach(model, steps=["cell"])
    with scope.record() as recording:
        model(x).backward()
    trace = recording.trace("cell")
    assert trace.cell.blocks == {"s0": slice(0, 5), "s1": slice(5, 11)}
    for name, value in gradscope.gradient(trace).items():
        torch.testing.assert_close(
            value,
            model.cell.get_parameter(name.removeprefix("module.")).grad,
            rtol=1e-9,
            atol=1e-11,
        )
    # the Jacobian by torch.func, against autograd row by row
    J = gradscope.step_jacobians(trace)[2, 1]
    s = trace.states.detach()[2, 1:2].requires_grad_()
    after = trace.cell(trace.inputs[2, 1:2], s)
    rows = [torch.autograd.grad(after[0, i], s, retain_graph=True)[0][0] for i in range(11)]
    torch.testing.assert_close(J, torch.stack(rows), rtol=1e-12, atol=1e-12)


def test_a_step_that_returns_more_than_its_state_says_how_to_read_it():
    class Talkative(Highway):
        def forward(self, x, state):
            state = super().forward(x, state)
            return state[0] * 2, state

    class Reader(Loop):
        def forward(self, x):
            state, total = self.start, 0.0
            for each in x:
                y, state = self.cell(each, state)
                total = total + y.sum()
            return total

    torch.manual_seed(0)
    model = Reader(Talkative().double(), start=highway_start())
    with (
        pytest.raises(GradscopeError, match=r"Step\(state=lambda"),
        gradscope.attach(model, steps=["cell"]).record(),
    ):
        model(data()).backward()
    with gradscope.attach(
        model, steps={"cell": gradscope.Step(state=lambda output: output[1])}
    ).record() as recording:
        model(data()).backward()
    trace = recording.trace("cell")
    assert trace.time == TIME
    # y is made within the call from the new state: what goes back through it is no part of what the
    # hooks see at the state
    assert recording.traces["cell"].immediate is not None


def test_symbols_as_inputs():
    class Embedded(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.cell = nn.Embedding(7, INPUT), nn.GRUCell(INPUT, HIDDEN)

        def forward(self, token, h):
            return self.cell(self.embedding(token), h)

    torch.manual_seed(0)
    model = nn.ModuleDict({"step": Embedded()})
    with gradscope.attach(model, steps=["step"]).record() as recording:
        h = torch.zeros(BATCH, HIDDEN)
        for token in torch.randint(7, (TIME, BATCH)):
            h = model["step"](token, h)
        h.square().sum().backward()
    trace = recording.trace("step")
    expected = model["step"].embedding.weight.grad
    torch.testing.assert_close(
        gradscope.gradient(trace)["module.embedding.weight"], expected, rtol=1e-4, atol=1e-6
    )
    assert gradscope.step_jacobians(trace).shape == (TIME, BATCH, HIDDEN, HIDDEN)


def halved(cell, x):
    h = torch.zeros(2, HIDDEN)
    for each in x:
        h = cell(each, h)
        h.mul_(0.5)


def test_changes_between_steps_are_named():
    cell = nn.GRUCell(INPUT, HIDDEN)
    x = torch.randn(4, 2, INPUT)

    def run(change):
        h = torch.zeros(2, HIDDEN)
        for each in x:
            h = change(cell(each, h))
        h.sum().backward()

    scope = gradscope.attach(cell)
    with scope.record() as recording:
        run(lambda h: h * 0.5)
    assert len(recording.traces) == 4
    assert "3 times the state that came in was not the one that had gone out" in recording.notes[0]
    with scope.record() as recording:
        run(lambda h: h)
    assert recording.notes == []
    with (
        pytest.raises(GradscopeError, match="changed in place between two calls"),
        scope.record(),
        torch.no_grad(),
    ):
        halved(cell, x)


def test_detached_states_are_counted():
    cell, h = nn.GRUCell(INPUT, HIDDEN), torch.zeros(2, HIDDEN)
    with gradscope.attach(cell).record() as recording:
        for index, each in enumerate(torch.randn(6, 2, INPUT)):
            h = cell(each, h.detach() if index == 3 else h)
        h.sum().backward()
    assert [trace.time for trace in recording.traces.values()] == [3, 3]
    assert "detached 1 time" in recording.notes[0]
    assert recording.carried == {"grucell (2)"}


def test_a_step_that_is_not_a_function_is_named():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.dropout = nn.GRUCell(INPUT, HIDDEN), nn.Dropout(0.5)

        def forward(self, x, h):
            return self.dropout(self.cell(x, h))

    model = nn.ModuleDict({"noisy": Noisy()})
    scope = gradscope.attach(model, steps=["noisy"])
    with (
        pytest.raises(GradscopeError, match=r"not a function of x and s alone. Switch dropout off"),
        scope.record(),
    ):
        model["noisy"](torch.randn(2, INPUT), torch.zeros(2, HIDDEN)).sum().backward()


def test_weights_that_change_within_the_block_are_named():
    cell = nn.GRUCell(INPUT, HIDDEN)
    optimizer = torch.optim.SGD(cell.parameters(), lr=0.1)

    def update():
        cell(torch.randn(2, INPUT)).sum().backward()
        optimizer.step()

    with (
        pytest.raises(GradscopeError, match="record one update at a time"),
        gradscope.attach(cell).record(),
    ):
        [update() for _ in range(2)]


def test_two_chains_of_one_cell_at_a_time():
    cell, x = nn.GRUCell(INPUT, HIDDEN), torch.randn(6, 2, 2, INPUT)
    with gradscope.attach(cell).record() as recording:
        a = b = None
        for each in x:
            a, b = cell(each[0], a), cell(each[1], b)
        (a - b).square().sum().backward()
    assert [trace.time for trace in recording.traces.values()] == [6, 6]
    total = sum(gradscope.gradient(trace)["weight_hh"] for trace in recording.traces.values())
    torch.testing.assert_close(total, cell.weight_hh.grad, rtol=1e-4, atol=1e-6)


def test_a_masked_state_is_not_called_detached():
    cell, h = nn.GRUCell(INPUT, HIDDEN), torch.zeros(4, HIDDEN)
    scope = gradscope.attach(cell)
    with scope.record() as recording:
        for each in torch.randn(9, 4, INPUT):
            h = cell(each, h) * 0.9
        h.sum().backward()
    assert recording.carried == set()
    diagnosis = scope.diagnose()
    assert "detached_steps" not in [found.finding for found in diagnosis.findings]
    assert "name it in steps=" in " ".join(str(diagnosis).split())


def test_detaching_in_place_works_as_without():
    cell, h = nn.GRUCell(INPUT, HIDDEN), None
    with gradscope.attach(cell).record() as recording:
        for t, each in enumerate(torch.randn(6, 2, INPUT)):
            h = cell(each, h)
            if t == 2:
                h.detach_()
        h.sum().backward()
    assert [trace.time for trace in recording.traces.values()] == [3, 3]


def test_weights_changed_before_the_first_call_are_the_ones_looked_at():
    cell = nn.GRUCell(INPUT, HIDDEN).double()
    with gradscope.attach(cell).record() as recording:
        with torch.no_grad():
            cell.weight_hh.mul_(1.5)
        h = None
        for each in data():
            h = cell(each, h)
        h.sum().backward()
    trace = recording.trace("grucell")
    torch.testing.assert_close(
        gradscope.gradient(trace)["weight_hh"], cell.weight_hh.grad, rtol=1e-9, atol=1e-11
    )
    assert not trace.immediate.mantissa[:-1].any()


def test_other_hooks_run_as_often_as_without():
    class Counted(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.GRUCell(INPUT, HIDDEN)

        def forward(self, x, h):
            return self.inner(x, h)

    model, calls = nn.ModuleDict({"step": Counted()}), []
    model["step"].inner.register_forward_hook(lambda *_: calls.append(1))
    scope, h = gradscope.attach(model, steps=["step"]), torch.zeros(2, HIDDEN)
    with scope.record():
        for each in torch.randn(5, 2, INPUT):
            h = model["step"](each, h)
        h.sum().backward()
    scope.diagnose()
    assert len(calls) == 5


def test_states_that_overflow_are_a_finding():
    cell, h = nn.RNNCell(INPUT, HIDDEN, nonlinearity="relu"), torch.ones(2, HIDDEN)
    with torch.no_grad():
        cell.weight_hh.copy_(2 * torch.eye(HIDDEN))
    scope = gradscope.attach(cell)
    with scope.record():
        for each in torch.randn(140, 2, INPUT):
            h = cell(each, h)
        h.sum().backward()
    assert "not_finite" in [found.finding for found in scope.diagnose().findings]


@pytest.mark.parametrize("name", ["out", "cell.a"])
def test_a_module_that_is_no_step_is_named(name):
    model = Loop(Highway().double(), start=highway_start())
    with (
        pytest.raises(GradscopeError, match=r"gradscope\.Step\("),
        gradscope.attach(model, steps=[name]).record(),
    ):
        model(data()).backward()
