"""Modules of transformers' equations, from their definitions and a step at a time."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TIME, BATCH, WIDTH = 7, 3, 6


class MambaMixer(nn.Module):
    """The selective state space; it keeps its states as ``seen``."""

    def __init__(self, inner: int = 8, state: int = 4, rank: int = 2):
        super().__init__()
        self.act, self.inner, self.state, self.rank = F.silu, inner, state, rank
        self.in_proj = nn.Linear(WIDTH, 2 * inner, bias=False)
        self.conv1d = nn.Conv1d(inner, inner, 3, groups=inner, padding=2)
        self.x_proj = nn.Linear(inner, rank + 2 * state, bias=False)
        self.dt_proj = nn.Linear(rank, inner)
        self.A_log = nn.Parameter(torch.randn(inner, state))
        self.D = nn.Parameter(torch.randn(inner))
        self.out_proj = nn.Linear(inner, WIDTH, bias=False)

    def forward(self, hidden_states: Tensor, cache_params: object = None) -> Tensor:
        x, gate = self.in_proj(hidden_states).chunk(2, -1)
        x = self.act(self.conv1d(x.mT)[..., : x.shape[1]].mT)
        outputs, h = [], torch.zeros(())
        self.seen = []
        for t in range(x.shape[1]):
            step, b, c = self.x_proj(x[:, t]).split([self.rank, self.state, self.state], -1)
            delta = F.softplus(self.dt_proj(step))[..., None]
            decay = torch.exp(-torch.exp(self.A_log) * delta)
            h = decay * h + delta * b[:, None] * x[:, t, :, None]
            self.seen.append(h.detach())
            outputs.append((h * c[:, None]).sum(-1) + self.D * x[:, t])
        return self.out_proj(torch.stack(outputs, 1) * self.act(gate))


class RwkvSelfAttention(nn.Module):
    """The WKV mean."""

    def __init__(self) -> None:
        super().__init__()
        self.time_decay = nn.Parameter(torch.randn(WIDTH) - 1)
        self.time_first = nn.Parameter(torch.randn(WIDTH))
        self.key, self.value, self.receptance = (
            nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(3)
        )
        self.output = nn.Linear(WIDTH, WIDTH, bias=False)

    def extract_key_value(
        self, hidden: Tensor, state: object = None
    ) -> tuple[Tensor, Tensor, Tensor, object]:
        return torch.sigmoid(self.receptance(hidden)), self.key(hidden), self.value(hidden), state

    def forward(
        self, hidden: Tensor, state: object = None, use_cache: bool = False
    ) -> tuple[Tensor, object]:
        r, k, v, _ = self.extract_key_value(hidden)
        outputs, above, below = [], torch.zeros(()), torch.zeros(())
        for t in range(hidden.shape[1]):
            now = torch.exp(self.time_first + k[:, t])
            outputs.append((above + now * v[:, t]) / (below + now))
            decay = torch.exp(-torch.exp(self.time_decay))
            above = decay * above + torch.exp(k[:, t]) * v[:, t]
            below = decay * below + torch.exp(k[:, t])
        return self.output(r * torch.stack(outputs, 1)), state


class mLSTMBackend(nn.Module):  # noqa: N801 - as in transformers
    """The matrix memory."""

    def __init__(self) -> None:
        super().__init__()
        self.config = None
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, igate: Tensor, fgate: Tensor
    ) -> Tensor:
        outputs, memory, norm = [], torch.zeros(()), torch.zeros(())
        for t in range(query.shape[2]):
            f, i = torch.sigmoid(fgate[:, :, t, None]), torch.exp(igate[:, :, t, None])
            k, v, q = key[:, :, t], value[:, :, t], query[:, :, t] * query.shape[-1] ** -0.5
            memory = f[..., None] * memory + i[..., None] * k[..., None] * v[..., None, :]
            norm = f * norm + i * k
            above = (q[..., None] * memory).sum(-2)
            outputs.append(above / (q * norm).sum(-1, keepdim=True).abs().clamp_min(1.0))
        return torch.stack(outputs, 2)


def mlstm_arguments() -> dict[str, Tensor]:
    """Queries, keys, values and gates of two heads."""
    shape = (BATCH, 2, TIME)
    sizes = {"query": (3,), "key": (3,), "value": (4,), "igate": (), "fgate": ()}
    return {
        name: torch.randn(*shape, *size, dtype=torch.float64, requires_grad=True)
        for name, size in sizes.items()
    }
