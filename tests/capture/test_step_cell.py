"""StepCell: a user's step as a cell."""

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture import Step
from gradscope.capture._step_cell import StepCell
from gradscope.errors import GradscopeError
from tests.capture.conftest import recorded
from tests.capture.step_models import (
    BATCH,
    HIDDEN,
    INPUT,
    TIME,
    Embedded,
    Highway,
    Loop,
    highway_start,
    inputs,
)


def highway_cell(hidden=0):
    torch.manual_seed(0)
    return StepCell(Highway().double(), Step(hidden=hidden), inputs()[0], highway_start())


def test_the_tensors_of_the_state_lie_side_by_side():
    cell = highway_cell()
    assert cell.blocks == {"s0": slice(0, 5), "s1": slice(5, 11)}
    assert (cell.input_size, cell.hidden_size, cell.state_size) == (INPUT, HIDDEN, 11)
    assert cell.initial_state(2).shape == (2, 11)
    x, (h, memory) = inputs()[0], highway_start()
    state = torch.cat((h, memory.flatten(1)), -1)
    expected = cell.module(x, (h, memory))
    after = cell(x, state)
    torch.testing.assert_close(after[:, :5], expected[0], rtol=0, atol=0)
    torch.testing.assert_close(after[:, 5:], expected[1].flatten(1), rtol=0, atol=0)
    assert torch.equal(cell.hidden(after), after[:, :5])


def test_another_tensor_may_be_the_hidden_one():
    cell = highway_cell(hidden=1)
    assert cell.hidden_size == 6
    assert torch.equal(cell.hidden(torch.arange(11.0)), torch.arange(5.0, 11.0))


def test_leading_axes_are_free():
    cell = highway_cell()
    x, s = inputs(), torch.randn(TIME, BATCH, 11, dtype=torch.float64)
    together = cell(x, s)
    apart = torch.stack([cell(x[t], s[t]) for t in range(TIME)])
    torch.testing.assert_close(together, apart, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(cell(x[0, 0], s[0, 0]), together[0, 0], rtol=1e-12, atol=1e-12)


def test_weights_cannot_be_drawn_anew():
    with pytest.raises(GradscopeError, match="the weights are the attached module's"):
        highway_cell().reset_parameters()


def test_a_users_own_step():
    torch.manual_seed(0)
    model, x = Loop(Highway().double(), start=highway_start()), inputs()
    with recorded(model, steps=["cell"]) as recording:
        model(x).backward()
    trace = recording.trace("cell")
    assert trace.cell.blocks == {"s0": slice(0, 5), "s1": slice(5, 11)}
    for name, value in gradscope.gradient(trace).items():
        expected = model.cell.get_parameter(name.removeprefix("module.")).grad
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-11)
    # the Jacobian by torch.func, against autograd row by row
    jacobian = gradscope.step_jacobians(trace)[2, 1]
    s = trace.states.detach()[2, 1:2].requires_grad_()
    after = trace.cell(trace.inputs[2, 1:2], s)
    rows = [torch.autograd.grad(after[0, i], s, retain_graph=True)[0][0] for i in range(11)]
    torch.testing.assert_close(jacobian, torch.stack(rows), rtol=1e-12, atol=1e-12)


class Unbatchable(nn.Module):
    """A step with an operation that torch.func cannot batch: it asks for a tensor's value."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(HIDDEN, HIDDEN, dtype=torch.float64)

    def forward(self, x, h):
        scale = 1.0 if float(h.detach().abs().sum()) < 1e6 else 0.5
        return torch.tanh(scale * self.inner(h) + x[:, :1])


def test_jacobians_of_what_torch_func_cannot_batch():
    torch.manual_seed(0)
    module, x = Unbatchable(), inputs()
    h = torch.randn(BATCH, HIDDEN, dtype=torch.float64)
    cell = StepCell(module, Step(), x[0], h)
    after = cell(x[:1], h[None])
    jacobian = cell.jacobian(x[:1], h[None], after)
    expected = (1 - after.square())[..., None] * module.inner.weight
    torch.testing.assert_close(jacobian, expected, rtol=1e-12, atol=1e-12)


def test_symbols_as_inputs():
    torch.manual_seed(0)
    model = nn.ModuleDict({"step": Embedded()})
    with recorded(model, steps=["step"]) as recording:
        h = torch.zeros(BATCH, HIDDEN)
        for token in torch.randint(7, (TIME, BATCH)):
            h = model["step"](token, h)
        h.square().sum().backward()
    trace = recording.trace("step")
    expected = model["step"].embedding.weight.grad
    gradient = gradscope.gradient(trace)["module.embedding.weight"]
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-6)
    assert gradscope.step_jacobians(trace).shape == (TIME, BATCH, HIDDEN, HIDDEN)
