"""Modules called once a step: torch's cells, ours, and a user's own."""

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture import Step
from gradscope.errors import GradscopeError
from tests.capture.conftest import recorded
from tests.capture.step_models import (
    BATCH,
    HIDDEN,
    INPUT,
    TIME,
    Highway,
    Loop,
    highway_start,
    inputs,
)
from tests.conftest import build


def check_against_autograd(trace, model, x, parts):
    """dL/ds_t, from states made one tensor each."""
    states, loss = [trace.states.detach()[0]], torch.zeros((), dtype=torch.float64)
    for step in x:
        after = model.cell(step, states[-1].split(parts, -1) if len(parts) > 1 else states[-1])
        state = torch.cat(after, -1) if isinstance(after, tuple) else after
        state.retain_grad()
        states.append(state)
        loss = loss + model.read(state[:, : parts[0]])
    if len(parts) > 1:
        loss = loss + states[-1][:, parts[0] :].square().sum()
    loss.backward()
    expected = torch.stack([state.grad for state in states[1:]])
    adjoints = gradscope.adjoints(trace).values()[1:]
    torch.testing.assert_close(adjoints, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.LSTMCell(INPUT, HIDDEN),
        lambda: nn.GRUCell(INPUT, HIDDEN),
        lambda: nn.RNNCell(INPUT, HIDDEN),
        lambda: nn.RNNCell(INPUT, HIDDEN, bias=False, nonlinearity="relu"),
    ],
    ids=["LSTMCell", "GRUCell", "RNNCell", "RNNCell, relu"],
)
def test_torch_cells_in_a_loop(make):
    torch.manual_seed(0)
    model, x = Loop(make().double()), inputs()
    with recorded(model) as recording:
        model(x).backward()
    trace = recording.trace("cell")
    for name, value in gradscope.gradient(trace).items():
        expected = model.cell.get_parameter(name).grad
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-11)
    model.zero_grad()
    both = isinstance(model.cell, nn.LSTMCell)
    check_against_autograd(trace, model, x, [HIDDEN, HIDDEN] if both else [HIDDEN])


@pytest.mark.parametrize("name", ["lstm_variant", "gru_original", "indrnn"])
def test_our_own_cells_in_a_loop(name):
    options = {"peepholes": True} if name == "lstm_variant" else {}
    cell = build(name, INPUT, HIDDEN, **options)
    start = torch.zeros(BATCH, cell.state_size, dtype=torch.float64)
    model, x = Loop(cell, start=start), inputs()
    with recorded(model) as recording:
        model(x).backward()
    for parameter, value in gradscope.gradient(recording.trace("cell")).items():
        expected = cell.get_parameter(parameter).grad
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-11)


class Halved(nn.GRUCell):
    """A subclass of torch's cell that takes a step of its own."""

    def forward(self, x, hx=None):
        return 0.5 * super().forward(x, hx)


def test_a_subclass_of_torchs_cell_is_a_step_of_its_own():
    torch.manual_seed(0)
    model, x = Loop(Halved(INPUT, HIDDEN).double()), inputs()
    with recorded(model) as recording:
        model(x).backward()
    gradients = gradscope.gradient(recording.trace("cell"))
    for name, value in gradients.items():
        expected = model.cell.get_parameter(name.removeprefix("module.")).grad
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-11)


class Talkative(Highway):
    """Gives (y, s)."""

    def forward(self, x, state):
        state = super().forward(x, state)
        return state[0] * 2, state


class Reader(Loop):
    def forward(self, x):
        state, total = self.start, torch.zeros((), dtype=torch.float64)
        for step in x:
            y, state = self.cell(step, state)
            total = total + y.sum()
        return total


def test_a_step_that_returns_more_than_its_state_says_how_to_read_it():
    torch.manual_seed(0)
    model = Reader(Talkative().double(), start=highway_start())
    with (
        pytest.raises(GradscopeError, match=r"Step\(state=lambda"),
        recorded(model, steps=["cell"]),
    ):
        model(inputs()).backward()
    steps = {"cell": Step(state=lambda output: output[1])}
    with recorded(model, steps=steps) as recording:
        model(inputs()).backward()
    trace = recording.trace("cell")
    assert trace.time == TIME
    # y_t is made within the call, beside s_t: what goes back through it reaches s_{t-1}, where the
    # hooks see it, and not s_t, so that nothing arrives at the last state
    assert trace.immediate is not None
    assert trace.immediate.mantissa[1:-1].ne(0).any(-1).all()
    assert not trace.immediate.mantissa[-1].any()


def test_unbatched_calls():
    torch.manual_seed(0)
    cell = nn.LSTMCell(INPUT, HIDDEN).double()
    with recorded(cell) as recording:
        state = None
        for step in inputs()[:, 0]:
            state = cell(step, state)
        (state[0].sum() + state[1].square().sum()).backward()
    trace = recording.trace("lstmcell")
    assert trace.states.shape == (TIME + 1, 1, 2 * HIDDEN)
    torch.testing.assert_close(
        gradscope.gradient(trace)["weight_hh"], cell.weight_hh.grad, rtol=1e-9, atol=1e-11
    )


def test_weights_changed_before_the_first_call_are_the_ones_looked_at():
    cell = nn.GRUCell(INPUT, HIDDEN).double()
    with recorded(cell) as recording:
        with torch.no_grad():
            cell.weight_hh.mul_(1.5)
        h = None
        for step in inputs():
            h = cell(step, h)
        h.sum().backward()
    trace = recording.trace("grucell")
    torch.testing.assert_close(
        gradscope.gradient(trace)["weight_hh"], cell.weight_hh.grad, rtol=1e-9, atol=1e-11
    )
    assert not trace.immediate.mantissa[:-1].any()


class Counted(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.GRUCell(INPUT, HIDDEN)

    def forward(self, x, h):
        return self.inner(x, h)


def test_other_hooks_run_as_often_as_without():
    model, calls = nn.ModuleDict({"step": Counted()}), []
    model["step"].inner.register_forward_hook(lambda *_: calls.append(1))
    scope, h = gradscope.attach(model, steps=["step"]), torch.zeros(2, HIDDEN)
    with scope.record():
        for step in torch.randn(5, 2, INPUT):
            h = model["step"](step, h)
        h.sum().backward()
    scope.diagnose()
    assert len(calls) == 5


# --- what is no step ------------------------------------------------------------------------------


class Counting(nn.Module):
    """Keeps a state inside."""

    def __init__(self):
        super().__init__()
        self.cell, self.calls = nn.GRUCell(INPUT, HIDDEN), 0

    def forward(self, x, h):
        self.calls += 1
        return self.cell(x, h) * self.calls


def test_a_step_that_is_not_a_function_is_named():
    model = nn.ModuleDict({"counting": Counting()})
    with (
        pytest.raises(GradscopeError, match=r"not a function of x and s alone\. Keep no state"),
        recorded(model, steps=["counting"]),
    ):
        model["counting"](torch.randn(2, INPUT), torch.zeros(2, HIDDEN)).sum().backward()


class Noisy(nn.Module):
    """Drops a part of its state at every step."""

    def __init__(self):
        super().__init__()
        self.cell, self.dropout = nn.GRUCell(INPUT, HIDDEN), nn.Dropout(0.4)

    def forward(self, x, h):
        return self.cell(x, self.dropout(h))


@pytest.mark.parametrize("masked", [False, True])
def test_what_a_step_drew_is_drawn_again(masked):
    torch.manual_seed(0)
    model = nn.ModuleDict({"noisy": Noisy()}).double()
    h, made = torch.randn(BATCH, HIDDEN, dtype=torch.float64), []
    with recorded(model, steps=["noisy"]) as recording:
        for t, x in enumerate(inputs()):
            h = model["noisy"](x, h * 0.9 if masked and t else h)
            made.append(h)
        loss = sum(h.sin().sum() for h in made)
        expected = torch.autograd.grad(loss, made, retain_graph=True)
        rows = [
            torch.autograd.grad(made[3][0, unit], made[2], retain_graph=True)[0][0]
            for unit in range(HIDDEN)
        ]
        loss.backward()
    trace = recording.trace("noisy")
    assert trace.time == TIME
    jacobian = trace.jacobians(3, 4)[0, 0]
    torch.testing.assert_close(jacobian, torch.stack(rows), rtol=1e-9, atol=1e-12)
    assert (jacobian == 0).all(0).any()  # what was dropped has no way
    some = trace.sequences(torch.tensor([0])).jacobians(3, 4)[0, 0]
    torch.testing.assert_close(some, jacobian)
    adjoints = gradscope.adjoints(trace).values()[1:]
    # autograd.grad's own pass arrived at the hooks as well, and the rows' at two of them
    torch.testing.assert_close(adjoints[-1], 2 * expected[-1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["out", "cell.a"])
def test_a_module_that_is_no_step_is_named(name):
    model = Loop(Highway().double(), start=highway_start())
    with (
        pytest.raises(GradscopeError, match=r"gradscope\.Step\("),
        recorded(model, steps=[name]),
    ):
        model(inputs()).backward()


class Nullary(nn.Module):
    def forward(self):
        return torch.ones(2, HIDDEN)


def test_a_module_called_without_arguments_is_named():
    model = nn.ModuleDict({"nothing": Nullary()})
    with (
        pytest.raises(GradscopeError, match=r"should be called as \(x, s\) with a tensor x"),
        recorded(model, steps=["nothing"]),
    ):
        model["nothing"]()


def test_a_state_that_is_made_of_the_output_is_named():
    model = nn.ModuleDict({"cell": nn.GRUCell(INPUT, HIDDEN)})
    with (
        pytest.raises(GradscopeError, match=r"Step\.state makes a new tensor of the output"),
        recorded(model, steps={"cell": Step(state=lambda output: 1 * output)}),
    ):
        model["cell"](torch.randn(2, INPUT), torch.zeros(2, HIDDEN))


class Uncopyable(nn.Module):
    def __deepcopy__(self, memo):
        raise TypeError("it holds an open file")

    def forward(self, x, h):
        return x + h


def test_a_module_that_cannot_be_copied_is_named():
    model = nn.ModuleDict({"step": Uncopyable()})
    with (
        pytest.raises(GradscopeError, match=r"'step' cannot be copied \(it holds an open file\)"),
        recorded(model, steps=["step"]),
    ):
        model["step"](torch.ones(1, 1), torch.ones(1, 1))
