"""Lyapunov spectra."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import gradscope
from benchmarks.dynamics_shared import (
    fresh,
    gemm_rate,
    jnp,
    row,
    rows,
    tanh_net,
)
from benchmarks.referee import jax
from benchmarks.timing import once
from gradscope.dynamics.trace import Trace


def start_of(hidden: int) -> Tensor:
    """The start that gradscope draws: exponents over a finite time depend on it."""
    drawn = torch.randn(
        1, hidden, hidden, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    return torch.linalg.qr(drawn)[0][0]


def plain_lyapunov(trace: Trace) -> Tensor:
    states, weight = trace.states.detach()[:, 0], trace.cell.weight_hh.detach()
    q, burn_in = start_of(len(weight)), trace.time // 10
    total = torch.zeros(len(weight), dtype=torch.float64)
    for t in range(1, trace.time + 1):
        jacobian = (1 - states[t] ** 2)[:, None] * weight
        q, r = torch.linalg.qr(jacobian @ q)
        if t > burn_in:
            total += r.diagonal().abs().log()
    return total / (trace.time - burn_in)


def jax_lyapunov(weight: Any, states: Any, q: Any) -> Any:
    def one(q: Any, s: Any) -> Any:
        q, r = jnp.linalg.qr(((1 - s * s)[:, None] * weight) @ q)
        return q, jnp.log(jnp.abs(jnp.diagonal(r)))

    time = len(states) - 1
    return jax.lax.scan(one, q, states[1:])[1][time // 10 :].sum(0) / (time - time // 10)


def lyapunov(time: int, hidden: int, repeats: int) -> None:
    small, trace = tanh_net(100, 12, 1.5), tanh_net(time, hidden, 1.5)
    expected = gradscope.lyapunov_spectrum(small).exponents
    torch.testing.assert_close(plain_lyapunov(small), expected, atol=1e-8, rtol=1e-8)
    others: dict[str, Callable[[], float]] = {
        "plain torch, QR every step": lambda: once(lambda: plain_lyapunov(trace))
    }
    if jax is not None:

        def arguments(trace: Trace) -> tuple:
            return tuple(
                jnp.asarray(x.detach().numpy())
                for x in (
                    trace.cell.weight_hh,
                    trace.states[:, 0],
                    start_of(trace.states.shape[-1]),
                )
            )

        theirs = torch.tensor(
            jax.jit(jax_lyapunov)(*arguments(small)).tolist(), dtype=torch.float64
        )
        torch.testing.assert_close(theirs, expected, atol=1e-8, rtol=1e-8)
        given = arguments(trace)
        compiled = jax.jit(jax_lyapunov).lower(*given).compile()
        others["jax.jit, scan, QR every step"] = lambda: once(
            lambda: compiled(*given).block_until_ready()
        )
    found: list[Any] = []
    size, quantity = f"{time}, 1, {hidden}", "Lyapunov spectrum, rnn"
    spent = rows(
        quantity,
        size,
        lambda: once(lambda: found.append(gradscope.lyapunov_spectrum(fresh(trace)))),
        others,
        repeats,
    )
    decompositions = len(found[-1].times) * time / (time - found[-1].burn_in)
    rate = gemm_rate(hidden, 1, torch.float64)
    products = time * 2 * hidden**3 / rate
    bare = products + decompositions * 8 / 3 * hidden**3 / rate
    matrix = torch.randn(hidden, hidden, dtype=torch.float64)
    lapack = products + decompositions * min(
        once(lambda: torch.linalg.qr(matrix)) for _ in range(20)
    )
    row(quantity, size, f"arithmetic, {decompositions:.0f} QR at the product's rate", spent, bare)
    row(quantity, size, f"arithmetic, {decompositions:.0f} QR as LAPACK takes", spent, lapack)
