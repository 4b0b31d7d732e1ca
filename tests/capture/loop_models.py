"""Models that call a module again and again on what it gave."""

from __future__ import annotations

import torch
from torch import Tensor, nn

BATCH, LENGTH, WIDTH = 3, 4, 6


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
        cycles: int = 3,
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
