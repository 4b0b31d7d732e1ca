"""A small gated delta net, whose heads the picture of the figure ``heads`` shows."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import gradscope
from gradscope.results.tables import Tables


def chunk_gated_delta_rule(
    q: Tensor, k: Tensor, v: Tensor, g: Tensor, beta: Tensor, scale: float
) -> Tensor:
    """S_t = a_t (I - beta_t k_t k_t^T) S_{t-1} + beta_t k_t v_t^T and o_t = S_t^T q_t."""
    state = torch.zeros(*k.shape[:1], *k.shape[2:], v.shape[-1])
    read = []
    for t in range(k.shape[1]):
        state = state * g[:, t].exp()[..., None, None]
        old = (state * k[:, t].unsqueeze(-1)).sum(-2)
        new = beta[:, t].unsqueeze(-1) * (v[:, t] - old)
        state = state + k[:, t].unsqueeze(-1) * new.unsqueeze(-2)
        read.append((state * (q[:, t] * scale).unsqueeze(-1)).sum(-2))
    return torch.stack(read, dim=1)


class GatedDeltaNet(nn.Module):
    """One layer of eight heads, whose steps start between two values."""

    def __init__(self, width: int, heads: int, least: float, greatest: float):
        super().__init__()
        self.heads = heads
        self.qkv, self.gates = nn.Linear(width, 3 * width), nn.Linear(width, 2 * heads)
        steps = torch.linspace(math.log(least), math.log(greatest), heads).exp()
        self.dt_bias = nn.Parameter(steps.expm1().log())
        self.A_log = nn.Parameter(torch.linspace(0, math.log(16), heads))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, width) to the same."""
        q, k, v = (part.unflatten(-1, (self.heads, -1)) for part in self.qkv(x).chunk(3, -1))
        a, b = self.gates(x).chunk(2, -1)
        decay = -self.A_log.exp() * F.softplus(a + self.dt_bias)
        k = F.normalize(k, dim=-1)
        read = chunk_gated_delta_rule(q, k, v, decay, b.sigmoid(), q.shape[-1] ** -0.5)
        return x + read.flatten(-2)


def tables() -> Tables:
    """What a scope measures of three layers: as published, with steps of 1.3, and in between."""
    torch.manual_seed(0)
    starts = {"published": (1e-3, 1e-1), "between": (1e-2, 1.0), "dt_bias_1": (1.3, 1.3131)}
    layers = {name: GatedDeltaNet(64, 8, *steps) for name, steps in starts.items()}
    model = nn.Sequential()
    for name, layer in layers.items():
        model.add_module(name, layer)
    scope = gradscope.attach(model)
    with scope.record():
        model(torch.randn(4, 128, 64))[:, -1].square().mean().backward()
    scope.measure("heads")
    return scope.tables()
