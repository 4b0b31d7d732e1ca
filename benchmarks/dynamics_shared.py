"""What the benchmarks of the dynamics share: the printed table, and the networks."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch
from torch import Tensor

import gradscope
from benchmarks.referee import jax
from benchmarks.timing import once
from gradscope.cells.lstm import LSTM
from gradscope.cells.rnn import RNN
from gradscope.dynamics.trace import Trace

if jax is not None:
    import jax.numpy as jnp
else:
    jnp = None

CELLS = {"rnn": RNN, "lstm": LSTM}


def head() -> None:
    print(
        f"{'quantity':<30}{'time, batch, units':<20}{'competitor':<50}"
        f"{'ours':>11}{'theirs':>11}{'ratio':>8}"
    )


def row(
    quantity: str,
    size: str,
    competitor: str,
    ours: float,
    theirs: float,
    ratio: float | None = None,
) -> None:
    ratio = ours / theirs if ratio is None else ratio
    print(
        f"{quantity:<30}{size:<20}{competitor:<50}{ours:>9.3f} s{theirs:>9.3f} s{ratio:>8.3f}",
        flush=True,
    )


def rows(
    quantity: str,
    size: str,
    ours: Callable[[], float],
    others: dict[str, Callable[[], float]],
    repeats: int,
) -> float:
    """Time ours and every competitor in turn and print a row for each; both give their own seconds.
    The median of ours.
    """
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in others}
    own: list[float] = []
    for _ in range(repeats):
        own.append(ours())
        for name, theirs in others.items():
            times[name].append((own[-1], theirs()))
    for name, pairs in times.items():
        medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
        row(
            quantity, size, name, medians[0], medians[1], statistics.median(a / b for a, b in pairs)
        )
    return statistics.median(own)


def gemm_rate(size: int, batch: int, dtype: torch.dtype) -> float:
    """Best operations a second of square products of this size: a batch of them, many of them, and
    one tall product.
    """
    best = 0.0
    for many in (1, 8, 32):
        a, b = (
            torch.randn(batch, many * size, size, dtype=dtype),
            torch.randn(batch, size, size, dtype=dtype),
        )
        square, repeated, out = a.view(-1, size, size), b.repeat(many, 1, 1), torch.empty_like(a)
        for call in (
            lambda a=a, b=b, out=out: torch.bmm(a, b, out=out),
            lambda a=square, b=repeated, out=out: torch.bmm(a, b, out=out.view_as(a)),
        ):
            best = max(best, 2 * many * batch * size**3 / min(once(call) for _ in range(10)))
    return best


def network(
    name: str, time: int, batch: int, hidden: int, dtype: torch.dtype = torch.float32
) -> Trace:
    generator = torch.Generator().manual_seed(0)
    cell = CELLS[name](
        2, hidden_size=hidden, recurrent_init="orthogonal", generator=generator, dtype=dtype
    )
    return gradscope.unroll(cell, torch.randn(time, batch, 2, generator=generator, dtype=dtype))


def fresh(trace: Trace, losses: Tensor | None = None) -> Trace:
    """Without what was computed before."""
    return Trace(trace.cell, trace.inputs, trace.states, losses)


def log_norm(matrices: Tensor, norm: str) -> Tensor:
    if norm == "spectral":
        return torch.linalg.matrix_norm(matrices, 2).log()
    return torch.linalg.matrix_norm(matrices).log()


def open_unroll(trace: Trace) -> list[Tensor]:
    states = [trace.states[0].detach().requires_grad_()]
    for x in trace.inputs:
        states.append(trace.cell(x, states[-1]))
    return states


def tanh_net(
    time: int, hidden: int, gain: float, drive: float = 0.1, dtype: torch.dtype = torch.float64
) -> Trace:
    """A gaussian tanh net whose input reaches its units with standard deviation ``drive``."""
    generator = torch.Generator().manual_seed(0)
    start = {"name": "gaussian", "gain": gain}
    cell = RNN(
        2, hidden_size=hidden, recurrent_init=start, bias=False, generator=generator, dtype=dtype
    )
    torch.nn.init.normal_(cell.weight_ih, 0, drive / 2**0.5, generator)
    return gradscope.unroll(cell, torch.randn(time, 1, 2, generator=generator, dtype=dtype))


def scored(trace: Trace) -> Tensor:
    return trace.cell.hidden(trace.states[1:]).square().mean(-1)
