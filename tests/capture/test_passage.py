"""Stacks whose blocks are joined by more than their outputs, against autograd."""

import pytest
import torch
from torch import nn

import gradscope
from tests.capture.conftest import recorded

WIDTH, LAYERS = 6, 5


class Residual(nn.Module):
    def __init__(self, join):
        super().__init__()
        blocks = [nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh()) for _ in range(LAYERS)]
        self.blocks, self.join, self.entered = nn.ModuleList(blocks), join, []

    def forward(self, x):
        self.entered = []
        for block in self.blocks:
            self.entered.append(x)
            x = self.join(x, block(x))
        return x


JOINS = {
    "added": lambda x, y: x + y,
    "added, by a factor": lambda x, y: 0.5 * x + 0.1 * y,
    "with an offset": lambda x, y: x + y + torch.linspace(0, 1, WIDTH).double(),
    "one after the other": lambda x, y: y,
    "scaled": lambda x, y: 1.5 * y,
}


@pytest.mark.parametrize("join", JOINS)
@pytest.mark.parametrize("needs_grad", [True, False])
def test_jacobians_and_adjoints_are_autograds(join, needs_grad):
    torch.manual_seed(0)
    model = Residual(JOINS[join]).double()
    x = torch.randn(3, WIDTH, dtype=torch.float64, requires_grad=needs_grad)
    loss = model(x).square().sum()
    inner = model.entered[1:]
    expected = torch.autograd.grad(loss, inner, retain_graph=True)
    jacobian = torch.stack(
        [
            torch.autograd.grad(inner[2][0, unit], inner[1], retain_graph=True)[0][0]
            for unit in range(WIDTH)
        ]
    )
    with recorded(model, depth="blocks") as recording:
        model(x).square().sum().backward()
    trace = recording.trace("blocks.depth")
    assert trace.time == LAYERS
    adjoints = gradscope.adjoints(trace).values()
    torch.testing.assert_close(adjoints[1:-1], torch.stack(expected), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(trace.jacobians(2, 3)[0, 0], jacobian, rtol=1e-9, atol=1e-12)
    first = torch.autograd.functional.jacobian(
        lambda e: model.join(e, model.blocks[0](e)), x[0].detach()
    )
    torch.testing.assert_close(trace.jacobians(0, 1)[0, 0], first, rtol=1e-9, atol=1e-12)


def test_training_keeps_every_bit():
    gradients = []
    for watched in (False, True):
        torch.manual_seed(0)
        model = Residual(JOINS["added"])
        x = torch.randn(3, WIDTH)
        if watched:
            with recorded(model, depth="blocks"):
                model(x).square().sum().backward()
        else:
            model(x).square().sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    assert all(map(torch.equal, *gradients))
