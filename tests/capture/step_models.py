"""Loops over a cell, and a step that no library knows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

TIME, BATCH, INPUT, HIDDEN = 6, 3, 4, 5


class Loop(nn.Module):
    """Reads h at every step in two ways, and c at the end."""

    def __init__(self, cell: nn.Module, start: object = None):
        super().__init__()
        self.cell, self.start, self.out = cell, start, nn.Linear(HIDDEN, 2, dtype=torch.float64)

    def read(self, h: Tensor) -> Tensor:
        return self.out(h[..., :HIDDEN]).square().sum() + h.sin().sum()

    def forward(self, x: Tensor) -> Tensor:
        state, total = self.start, torch.zeros((), dtype=torch.float64)
        for step in x:
            state = self.cell(step, state)
            total = total + self.read(state[0] if isinstance(state, tuple) else state)
        return total + (state[1].square().sum() if isinstance(state, tuple) else 0.0)


class Highway(nn.Module):
    """Its state is two tensors of different shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(INPUT + HIDDEN, HIDDEN), nn.Linear(HIDDEN, 6)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        h, memory = state
        h = torch.tanh(self.a(torch.cat((x, h), -1)) + memory.flatten(1)[:, :1])
        return h, 0.9 * memory + self.b(h).reshape(-1, 2, 3)


def highway_start() -> tuple[Tensor, Tensor]:
    """An initial state for it."""
    zeros = torch.zeros(BATCH, HIDDEN, dtype=torch.float64)
    return zeros, torch.ones(BATCH, 2, 3, dtype=torch.float64)


class Embedded(nn.Module):
    """Reads symbols."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.cell = nn.Embedding(7, INPUT), nn.GRUCell(INPUT, HIDDEN)

    def forward(self, token: Tensor, h: Tensor) -> Tensor:
        return self.cell(self.embedding(token), h)


def inputs() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
