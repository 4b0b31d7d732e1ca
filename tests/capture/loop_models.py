"""Models that call a module again and again on what it gave."""

from __future__ import annotations

import torch
from torch import Tensor, nn

BATCH, LENGTH, WIDTH = 3, 4, 6


def drawn(*shape: int, seed: int = 1) -> Tensor:
    """Random numbers in float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


class Net(nn.Module):
    """Two little layers that mix positions and widths, and read something beside their state."""

    def __init__(self, width: int = WIDTH, length: int = LENGTH) -> None:
        super().__init__()
        self.across, self.up = nn.Linear(length, length), nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)

    def forward(self, hidden: Tensor, injection: Tensor) -> Tensor:
        hidden = hidden + injection
        hidden = hidden + self.across(hidden.mT).mT
        hidden = hidden + self.down(torch.sin(self.up(hidden)))
        return hidden / hidden.square().mean(-1, keepdim=True).add(1e-5).sqrt()


class Tiny(nn.Module):
    """A tiny recursive model: one network updates two latents; all but the last cycle unheard.

    Args:
        hushed: whether the cycles before the last run without a gradient.
        supervisions: how often it goes on from its own latents, detached, with a loss each.
    """

    def __init__(
        self,
        *,
        cycles: int = 2,
        inner: int = 2,
        hushed: bool = True,
        supervisions: int = 1,
        width: int = WIDTH,
    ):
        super().__init__()
        self.embed, self.net = nn.Linear(2, width), nn.ModuleDict({"step": Net(width)})
        self.head = nn.Linear(width, 2)
        self.cycles, self.inner, self.hushed = cycles, inner, hushed
        self.supervisions = supervisions
        self.register_buffer("start", torch.randn(2, width))
        self.calls: list[Tensor] = []

    def step(self, hidden: Tensor, injection: Tensor) -> Tensor:
        made = self.net["step"](hidden, injection)
        self.calls.append(made)
        return made

    def cycle(self, x: Tensor, high: Tensor, low: Tensor) -> tuple[Tensor, Tensor]:
        for _ in range(self.inner):
            low = self.step(low, high + x)
        return self.step(high, low), low

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        high, low = (part.expand_as(x) for part in self.start)
        total = torch.zeros((), dtype=x.dtype)
        for _ in range(self.supervisions):
            with torch.set_grad_enabled(not self.hushed):
                for _ in range(self.cycles - 1):
                    high, low = self.cycle(x, high, low)
            high, low = self.cycle(x, high, low)
            total = total + self.head(high).square().mean()
            if self.hushed:
                high, low = high.detach(), low.detach()
        return total


class Levels(nn.Module):
    """A hierarchical model: two networks, each with a latent of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.high, self.low, self.embed = Net(), Net(), nn.Linear(2, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        high, low = torch.ones_like(x), torch.zeros_like(x)
        for _ in range(3):
            with torch.no_grad():
                low = self.low(low, high + x)
                low = self.low(low, high + x)
                high = self.high(high, low)
        low = self.low(low, high + x)
        return self.high(high, low).square().mean()


class Looped(nn.Module):
    """A looped block with the input injected again at every turn."""

    def __init__(self, turns: int = 4, adapter: bool = False, blocks: int = 1):
        super().__init__()
        self.embed = nn.Linear(2, WIDTH)
        self.adapter = nn.Linear(2 * WIDTH, WIDTH) if adapter else None
        self.blocks, self.turns = nn.ModuleList([Net() for _ in range(blocks)]), turns

    def forward(self, x: Tensor) -> Tensor:
        e = self.embed(x)
        h = torch.zeros_like(e)
        for _ in range(self.turns):
            h = h + e if self.adapter is None else self.adapter(torch.cat((h, e), -1))
            for block in self.blocks:
                h = block(h, 0.5 * e)
        return h.square().sum()


class Field(nn.Module):
    """A vector field of state and time."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(WIDTH + 1, WIDTH)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return torch.tanh(self.inner(torch.cat((x, t.expand(len(x), 1)), -1)))


class Sampler(nn.Module):
    """Euler steps along a field."""

    def __init__(self, steps: int = 5):
        super().__init__()
        self.field, self.steps = Field(), steps
        self.made: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.made = [x]
        for step in range(self.steps):
            x = x + self.field(x, torch.tensor(step / self.steps, dtype=x.dtype)) / self.steps
            self.made.append(x)
        return x.square().sum()


class Equilibrium(nn.Module):
    """A fixed point by iteration without a gradient, and one step with it."""

    def __init__(self, steps: int = 12):
        super().__init__()
        self.map, self.steps = Contraction(), steps

    def forward(self, x: Tensor) -> Tensor:
        z = torch.zeros_like(x)
        with torch.no_grad():
            for _ in range(self.steps):
                z = self.map(z, x)
        return self.map(z, x).square().sum()


class Contraction(nn.Module):
    """z -> tanh(W z / 2 + x)."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(WIDTH, WIDTH)

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        return torch.tanh(0.5 * self.inner(z) + x)


class Inside(nn.Module):
    """Its one module has cycles without a gradient within its own call."""

    def __init__(self) -> None:
        super().__init__()
        self.outer = Settling()

    def forward(self, x: Tensor) -> Tensor:
        z = torch.zeros_like(x)
        for _ in range(3):
            z = self.outer(z, x)
        return z.square().sum()


class Settling(nn.Module):
    """Two different maps, the first without a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Contraction(), Contraction()

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        with torch.no_grad():
            z = self.first(z, x)
        return self.second(z, x)


class GradientStep(nn.Module):
    """theta -> theta - eta d loss / d theta, of a least squares loss."""

    def forward(self, theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
        with torch.enable_grad():
            theta = theta if theta.requires_grad else theta.requires_grad_()
            loss = (torch.tanh(x @ theta) - y).square().sum()
            (slope,) = torch.autograd.grad(loss, theta, create_graph=True)
        return theta - 0.1 * slope


class Unrolled(nn.Module):
    """Some steps of gradient descent from a start that is learned, scored by another loss."""

    def __init__(self, steps: int = 4):
        super().__init__()
        self.start = nn.Parameter(0.3 * torch.randn(WIDTH, 2))
        self.step, self.steps = GradientStep(), steps

    def forward(self, x: Tensor) -> Tensor:
        theta, y = self.start, x[:, :2].sin()
        for _ in range(self.steps):
            theta = self.step(theta, x, y)
        return (x @ theta).square().mean()


class ByHand(nn.Module):
    """A gated cell written out, of single layers."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.new, self.read = (
            nn.Linear(WIDTH, WIDTH),
            nn.Linear(WIDTH, WIDTH),
            nn.Linear(2, WIDTH),
        )

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros(x.shape[0], WIDTH, dtype=x.dtype)
        for given in x.unbind(1):
            read = self.read(given)
            gate = torch.sigmoid(self.gate(h) + read)
            h = (1 - gate) * h + gate * torch.tanh(self.new(gate * h) + read)
        return h.square().sum()


class InPlace(nn.Module):
    """Changes what the block gave in place, and drops some of it."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Net()

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros_like(x)
        for _ in range(4):
            h = self.block(h, x)
            h += 0.1 * x
            h[:, 0] = 0.5
            h = nn.functional.dropout(h, 0.3, training=self.training)
        return h.sin().sum()


# --- what is no loop ------------------------------------------------------------------------------


class Shared(nn.Module):
    """A stack of different layers with an activation, a norm and a dropout in common."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(5)])
        self.act, self.norm, self.drop = nn.ReLU(), nn.LayerNorm(WIDTH), nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.drop(self.norm(self.act(layer(x))))
        return x.sum()


class SharedMixer(nn.Module):
    """A stack of different blocks that all use one mixer."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh())
        self.blocks = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(4)])

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = x + self.mix(x)
            x = x + torch.tanh(block(x))
        return x.sum()


class Twins(nn.Module):
    """A siamese net: one encoder, two inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return (self.encoder(x) - self.encoder(x.flip(0))).square().sum()


class Adversaries(nn.Module):
    """A generator, then a discriminator, each called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh())
        self.discriminator = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        fake = self.generator(x)
        real = self.discriminator(x).sum() - self.discriminator(fake.detach()).sum()
        return real + self.discriminator(self.generator(x + 1)).sum()


class Words(nn.Module):
    """A shared embedding, read out by the same weights."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.mix = nn.Embedding(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        total = torch.zeros((), dtype=x.dtype)
        token = x.argmax(-1)
        for _ in range(4):
            scores = self.mix(self.embedding(token)) @ self.embedding.weight.T
            total, token = total + scores.logsumexp(-1).sum(), scores.argmax(-1)
        return total


class Recurrent(nn.Module):
    """An LSTM that goes on from its own output through a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.out = nn.LSTM(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        y, state = self.lstm(x[None])
        for _ in range(3):
            y, state = self.lstm(self.out(y), state)
        return y.sum()
