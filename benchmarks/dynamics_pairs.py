"""All pairs: ln ||J_{t:k}|| for all t and k."""

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
    log_norm,
    network,
    open_unroll,
    row,
    rows,
)
from benchmarks.referee import STEPS, jax
from benchmarks.timing import once
from gradscope.dynamics.trace import Trace


def by_autograd(states: list[Tensor], t: int, norm: str) -> Tensor:
    """ln ||J_{t:k}|| for k < t, ``(t, batch)``: one batched backward pass from s_t."""
    batch, size = states[t].shape
    seeds = torch.eye(size, dtype=states[t].dtype)[:, None].expand(size, batch, size)
    found = torch.autograd.grad(
        states[t], states[:t], seeds, retain_graph=True, is_grads_batched=True
    )
    return torch.stack([log_norm(part.transpose(0, 1), norm) for part in found])


def by_func(trace: Trace, k: int, stop: int, norm: str, transform: Callable) -> Tensor:
    """ln ||J_{t:k}|| for k < t <= stop, ``(stop - k, batch)``: a transform of the unroll."""

    def later(s: Tensor, inputs: Tensor) -> Tensor:
        states = []
        for x in inputs:
            s = trace.cell(x, s)
            states.append(s)
        return torch.stack(states)

    found = torch.func.vmap(transform(later), in_dims=(0, 1))(
        trace.states[k].detach(), trace.inputs[k:stop]
    )
    return log_norm(found.detach(), norm).T


def jax_pairs(name: str, norm: str) -> Callable:
    """(weights, inputs, states) -> the table [t, k]: vmapped jacfwd for the steps, a scan over t of
    a loop over k.
    """

    def table(w: dict, x: Any, states: Any) -> Any:
        jacobians = jax.vmap(jax.vmap(jax.jacfwd(lambda s, x: STEPS[name](w, x, s))))(
            states[:-1], x
        )
        time, batch, size, _ = jacobians.shape

        def all_k(_: None, t: Any) -> tuple[None, Any]:
            def body(i: Any, carry: Any) -> Any:
                product, line = carry
                product = product @ jacobians[t - 1 - i]
                return product, line.at[t - 1 - i].set(jnp.log(jax_norm(product, norm)))

            identity = jnp.broadcast_to(jnp.eye(size, dtype=jacobians.dtype), (batch, size, size))
            return (
                None,
                jax.lax.fori_loop(
                    0, t, body, (identity, jnp.full((time + 1, batch), jnp.nan, jacobians.dtype))
                )[1],
            )

        return jax.lax.scan(all_k, None, jnp.arange(time + 1))[1]

    return jax.jit(table)


def jax_norm(product: Any, norm: str) -> Any:
    if norm == "spectral":
        return jnp.linalg.svd(product, compute_uv=False)[..., 0]
    return jnp.sqrt((product * product).sum((-2, -1)))


def to_jax(trace: Trace) -> tuple[dict, Any, Any]:
    w = {key: jnp.asarray(value.detach().numpy()) for key, value in trace.cell.named_parameters()}
    return w, jnp.asarray(trace.inputs.numpy()), jnp.asarray(trace.states.detach().numpy())


def check_pairs(name: str, norm: Any) -> None:
    """All competitors against ours on a small case."""
    trace = network(name, 9, 3, 5)
    ours = gradscope.jacobian_log_norms(trace, norm=norm).float()
    states = open_unroll(trace)
    for t in range(1, 10):
        torch.testing.assert_close(by_autograd(states, t, norm), ours[t, :t], atol=1e-4, rtol=1e-4)
    for k in range(9):
        for transform in (torch.func.jacrev, torch.func.jacfwd):
            torch.testing.assert_close(
                by_func(trace, k, 9, norm, transform), ours[k + 1 :, k], atol=1e-4, rtol=1e-4
            )
    if jax is not None:
        theirs = torch.tensor(jax_pairs(name, norm)(*to_jax(trace)).tolist())
        below = torch.ones(10, 10).tril(-1).bool()
        torch.testing.assert_close(theirs[below], ours[below], atol=1e-4, rtol=1e-4)


def pairs(
    name: str, time: int, batch: int, hidden: int, norm: Any, repeats: int, part: int | None = None
) -> None:
    """``part``: ours and JAX are timed on so many steps, and grow by the square of the time."""
    check_pairs(name, norm)
    trace = network(name, time, batch, hidden)
    part = part or time
    less, more = (
        Trace(trace.cell, trace.inputs[:part], trace.states[: part + 1]),
        (time / part) ** 2,
    )
    size, width = (
        f"{time}, {batch}, {hidden}" + (f" ~ {part}" if part < time else ""),
        trace.states.shape[-1],
    )
    large = width * hidden > 2**13
    ts = (16, 32)
    reach = (4, 8) if large else (16, 32)

    def autograd() -> float:
        states = open_unroll(trace)
        return (
            sum(once(lambda t=t: by_autograd(states, t, norm)) for t in ts)
            * (time * (time + 1) / 2)
            / sum(ts)
        )

    def jacfwd() -> float:
        spent = sum(once(lambda n=n: by_func(trace, 0, n, norm, torch.func.jacfwd)) for n in ts)
        return spent * (time * (time + 1) / 2) / sum(ts)

    def jacrev() -> float:
        # a n + b n^2 through the two: every one of n outputs goes back over up to n steps
        near, far = (once(lambda n=n: by_func(trace, 0, n, norm, torch.func.jacrev)) for n in reach)
        square = max(0.0, (far / reach[1] - near / reach[0]) / (reach[1] - reach[0]))
        linear = max(0.0, near / reach[0] - square * reach[0])
        return sum(linear * n + square * n * n for n in range(1, time + 1))

    others = {
        f"autograd, is_grads_batched ~ t={ts[0]},{ts[1]}, linear": autograd,
        f"func.jacfwd of the unroll ~ n={ts[0]},{ts[1]}, linear": jacfwd,
        f"func.jacrev of the unroll ~ n={reach[0]},{reach[1]}, square": jacrev,
    }
    if (
        norm == "spectral"
    ):  # the norm's own share is the same; the two above say it for the products
        others = dict(list(others.items())[:1])
    if jax is not None:
        arguments = to_jax(less)
        compiled = jax_pairs(name, norm).lower(*arguments).compile()
        others["jax.jit, scans, no scale"] = lambda: (
            once(lambda: compiled(*arguments).block_until_ready()) * more
        )
    quantity = f"all pairs, {norm}, {name}"

    def ours() -> float:
        return once(lambda: gradscope.jacobian_log_norms(fresh(less), norm=norm)) * more

    # a long case is timed once, without a round to warm up; the extrapolated ones are short
    for warm in [*others.values(), ours][: len(others) + 1 if repeats > 1 else 2]:
        warm()
    spent = rows(quantity, size, ours, others, repeats)
    work = time * (time - 1) / 2 * batch * 2 * width**3
    rate = gemm_rate(width, batch, torch.float32)
    row(
        quantity,
        size,
        f"arithmetic, {work / 1e9:.0f} GFLOP at {rate / 1e9:.0f}/s, torch, no norm",
        spent,
        work / rate,
    )
