"""Lag contributions."""

from __future__ import annotations

import torch
from torch import Tensor

import gradscope
from benchmarks.dynamics_shared import (
    fresh,
    network,
    row,
    rows,
    scored,
)
from benchmarks.timing import once
from gradscope.dynamics.trace import Trace


def copies(trace: Trace) -> tuple[list[Tensor], list[Tensor]]:
    """A leaf of weight_hh for every step, and every step's loss, in a plain unroll."""
    cell, state = trace.cell, trace.states[0].detach()
    leaves, losses = [], []
    driven = torch.nn.functional.linear(
        trace.inputs, cell.weight_ih.detach(), (cell.bias_ih + cell.bias_hh).detach()
    )
    for u in driven:
        leaves.append(cell.weight_hh.detach().clone().requires_grad_())
        state = torch.tanh(u + state @ leaves[-1].T)
        losses.append(state.square().mean(-1).sum())
    return leaves, losses


def lags(time: int, batch: int, hidden: int, repeats: int) -> None:
    small, trace = network("rnn", 8, 3, 5), network("rnn", time, batch, hidden)
    leaves, losses = copies(small)
    found = [
        torch.autograd.grad(loss, leaves[: t + 1], retain_graph=True)
        for t, loss in enumerate(losses)
    ]
    norms = torch.stack(
        [sum(found[t][t - lag] for t in range(lag, 8)).norm().log() for lag in range(8)]
    )
    ours = gradscope.lag_contributions(small, scored(small), parameter="weight_hh").log_norms
    torch.testing.assert_close(norms.double(), ours, atol=1e-4, rtol=1e-4)
    ts = (time // 4, time // 2)

    def autograd() -> float:
        leaves, losses = copies(trace)
        total = [torch.zeros(hidden, hidden) for _ in leaves]

        def one(t: int) -> None:
            for k, part in enumerate(
                torch.autograd.grad(losses[t - 1], leaves[:t], retain_graph=True)
            ):
                total[t - 1 - k] += part

        return sum(once(lambda t=t: one(t)) for t in ts) * (time * (time + 1) / 2) / sum(ts)

    def contributions() -> float:
        return once(
            lambda: gradscope.lag_contributions(fresh(trace), scored(trace), parameter="weight_hh")
        )

    contributions()
    size, quantity = f"{time}, {batch}, {hidden}", "lag contributions, rnn"
    name = f"autograd, a copy of W a step ~ t={ts[0]},{ts[1]}, linear"
    spent = rows(quantity, size, contributions, {name: autograd}, repeats)
    work = time * (time + 1) / 2 * batch * 2 * 2 * hidden**2
    many = torch.randn(time * batch // 2, hidden), torch.randn(hidden, hidden)
    rate = 2 * len(many[0]) * hidden**2 / min(once(lambda: many[0] @ many[1]) for _ in range(20))
    row(
        quantity,
        size,
        f"arithmetic, {work / 1e9:.0f} GFLOP at {rate / 1e9:.0f}/s",
        spent,
        work / rate,
    )
