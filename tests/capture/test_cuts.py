"""Where one state is all that is handed on."""

import pytest
import torch
from torch import nn

from tests.capture.conftest import recorded

WIDTH = 4


class Stack(nn.Module):
    """Blocks, and what happens around them."""

    def __init__(self, count=4):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(count)])
        self.heads = nn.ModuleList([nn.Linear(WIDTH, 1) for _ in range(count)])
        self.place = nn.Parameter(torch.randn(WIDTH))
        self.first = nn.Linear(WIDTH, WIDTH)
        self.register_buffer("scale", torch.full((WIDTH,), 0.5))


class Supervised(Stack):
    """A loss after every layer."""

    def forward(self, x):
        loss = 0.0
        for block, head in zip(self.blocks, self.heads, strict=True):
            x = x + torch.tanh(block(x))
            loss = loss + head(x).square().mean()
        return loss


class Placed(Stack):
    """An embedding of the place is added first, and read again by every layer."""

    def forward(self, x):
        place = self.place * self.scale
        x = self.first(x) + place
        for block in self.blocks:
            x = x + torch.tanh(block(x + place))
        return x.square().mean()


class Beside(Stack):
    """The input goes another way to the loss as well."""

    def forward(self, x):
        x = self.first(x)
        aside = torch.tanh(self.heads[0](x))
        for block in self.blocks:
            x = x + torch.tanh(block(x))
        return (x.mean() * aside.mean()).square()


class Normalised(Stack):
    """x = norm(x + f(x)), with a norm after the last layer and a head that has one as well."""

    def forward(self, x):
        norm = nn.functional.layer_norm
        for block in self.blocks:
            x = norm(x + torch.tanh(block(x)), (WIDTH,))
        return norm(self.first(norm(x, (WIDTH,))), (WIDTH,)).square().sum()


class Remembered(Stack):
    """Every layer reads a memory that is made of something else by weights."""

    def forward(self, x):
        memory = self.first(torch.ones(1, WIDTH))
        for block in self.blocks:
            x = x + torch.tanh(block(x * torch.sigmoid(memory)))
        return x.square().mean()


@pytest.mark.parametrize("kind", [Supervised, Placed, Beside, Normalised, Remembered])
@pytest.mark.parametrize("count", [2, 4])
def test_the_state_is_the_activation_alone(kind, count):
    torch.manual_seed(0)
    model, x = kind(count), torch.randn(3, WIDTH)
    with recorded(model, depth="blocks") as recording:
        model(x).backward()
    trace = recording.trace("blocks.depth")
    assert trace.states.shape == (count + 1, 3, WIDTH)
    with torch.no_grad():
        x = x if kind in (Supervised, Normalised, Remembered) else model.first(x)
        x = x + model.place * 0.5 if kind is Placed else x
    torch.testing.assert_close(trace.states[0].detach(), x)
    if kind is Normalised:
        norms = trace.states[1:].detach().square().mean(-1)
        torch.testing.assert_close(norms, torch.ones_like(norms), rtol=1e-3, atol=1e-3)


def test_losses_on_the_way_are_immediate():
    torch.manual_seed(0)
    model = Supervised()
    with recorded(model, depth="blocks") as recording:
        model(torch.randn(3, WIDTH)).backward()
    immediate = recording.trace("blocks.depth").immediate.values()
    x = recording.trace("blocks.depth").states.detach()
    for layer, head in enumerate(model.heads, 1):
        expected = (2 / 3) * head(x[layer]) * head.weight
        torch.testing.assert_close(immediate[layer].float(), expected, rtol=1e-4, atol=1e-6)


def test_the_first_layer_is_left_out_where_another_state_enters_it():
    class Widening(Stack):
        def forward(self, x):
            x = self.blocks[0](x)
            x = torch.stack((x, 2 * x), 1)
            for block in self.blocks[1:]:
                x = x + torch.tanh(block(x))
            return x.square().mean()

    model = Widening()
    with recorded(model, depth="blocks") as recording:
        model(torch.randn(3, WIDTH)).backward()
    assert recording.trace("blocks.depth").states.shape == (4, 3, 2 * WIDTH)
    assert any("from the second layer on" in note for note in recording.notes)
