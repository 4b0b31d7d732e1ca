"""Gradient dynamics against other ways to get the same numbers: autograd, torch.func, JAX, a plain
loop, and arithmetic alone.

    python -m benchmarks.dynamics [--only pairs big lyapunov lags product large] [--large]

One thread, on one processor. Ours and a competitor are timed in turn, A B A B ..., and the ratio is
the median of the pairs' ratios: below 1 where ours is faster. Before that both are compared on a
small case. A competitor that would take too long is timed on a few steps and extrapolated (marked
~, with the rule; jacrev's square reaches so far that it tells the order only). The bound is the
multiplications and additions that the needed matrix products take, at the best rate that torch
reaches here for products of that size; XLA's own may be higher. JAX is no dependency: its rows need
it installed.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)
if hasattr(
    os, "sched_setaffinity"
):  # XLA starts threads of its own whatever the flags say: one processor makes it one thread
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import argparse
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import torch
from referee import STEPS, jax
from torch import Tensor

import gradscope
from benchmarks.timing import machine, once
from gradscope.cells.lstm import LSTM
from gradscope.cells.rnn import RNN
from gradscope.dynamics.trace import Trace

if jax is not None:
    import jax.numpy as jnp

CELLS = {"rnn": RNN, "lstm": LSTM}
SECTIONS = ("pairs", "big", "lyapunov", "lags", "product")


# --- the table ------------------------------------------------------------------------------------


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


# --- all pairs ------------------------------------------------------------------------------------


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


# --- Lyapunov spectrum ----------------------------------------------------------------------------


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


# --- lag contributions ----------------------------------------------------------------------------


def scored(trace: Trace) -> Tensor:
    return trace.cell.hidden(trace.states[1:]).square().mean(-1)


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


# --- a plain float32 product ----------------------------------------------------------------------


def plain_product(hidden: int, lag: int, longest: int) -> None:
    """What a plain loop gives where the gradient has vanished, and what its steps cost once its
    numbers are subnormal.
    """
    print(
        f"\nplain float32 product at lag {lag} and on, tanh at gain 0.9 with unit drive, {hidden}"
        " units, against ours"
    )
    trace = tanh_net(longest, hidden, 0.9, drive=1.0, dtype=torch.float32)
    jacobians = gradscope.step_jacobians(trace)
    product, tiny = torch.eye(hidden).expand(1, hidden, hidden), torch.finfo(torch.float32).tiny
    titles = (
        f"{'ours, ln':>12}{'in float64':>12}{'subnormal':>11}{'zero':>7}{'a step':>12}{'ours':>12}"
    )
    print(f"{'lag':>6}{'plain norm':>14}{'its ln':>10}{titles}")
    for step in range(1, longest + 1):
        seconds = min(
            once(lambda step=step, product=product: jacobians[step - 1] @ product) for _ in range(7)
        )
        product = jacobians[step - 1] @ product
        if step == 1 or step % 32 == 0 or step == lag:
            norm = float(torch.linalg.matrix_norm(product)[0])
            kinds = (jacobians, jacobians.double())
            logs = [
                float(gradscope.jacobian_product(kind, step, 0).log_frobenius_norm()[0])
                for kind in kinds
            ]
            small = float(((product.abs() < tiny) & (product != 0)).float().mean())
            zero = float((product == 0).float().mean())
            own = (
                min(
                    once(lambda step=step: gradscope.jacobian_product(jacobians, step, 0))
                    for _ in range(5)
                )
                / step
            )
            print(
                f"{step:>6}{norm:>14.4e}{torch.tensor(norm).log():>10.3f}{logs[0]:>12.5f}"
                f"{logs[1]:>12.5f}{small:>11.0%}{zero:>7.0%}{seconds * 1e6:>9.1f} us"
                f"{own * 1e6:>9.1f} us"
            )


# --- top singular values --------------------------------------------------------------------------


def large(time: int, hidden: int) -> None:
    """In a process of its own, so that its peak memory is its own."""
    print(
        f"\ntop_singular_values, {hidden} units, time {time}, float32: the largest of"
        f" J_{{{time}:0}}",
        flush=True,
    )
    small = tanh_net(30, 40, 1.2)
    values = torch.linalg.svdvals(gradscope.jacobian_product(small, 30, 0).matrix())[0, :3].log()
    torch.testing.assert_close(
        gradscope.top_singular_values(small, 30, 0, 3), values, atol=1e-7, rtol=1e-7
    )
    subprocess.run([sys.executable, __file__, "--child", str(time), str(hidden)], check=True)
    matrix = torch.randn(hidden, hidden)
    seconds = min(once(lambda: matrix @ matrix) for _ in range(2)) * time
    memory = time * hidden**2 * 4 / 2**30
    print(
        f"forming the product instead: ~{seconds:.0f} s for its {time} products alone (one timed);"
        " the step Jacobians"
    )
    print(
        f"take {memory:.1f} GiB at once, or {3 * hidden**2 * 4 / 2**20:.0f} MiB for J_t, the"
        " product and its result"
    )


def child(time: int, hidden: int) -> None:
    def peak() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10

    imported = peak()
    trace = tanh_net(time, hidden, 1.2, dtype=torch.float32)
    made = peak()
    values: list[Tensor] = []
    seconds = once(lambda: values.append(gradscope.top_singular_values(trace, time, 0)))
    print(f"{seconds:.1f} s, ln of the value {float(values[0][0]):.6f}")
    print(
        f"peak memory {peak():.0f} MiB, of which {imported:.0f} after the imports and {made:.0f}"
        " after the unroll;",
        end=" ",
    )
    print(f"the weights alone are {hidden**2 * 4 / 2**20:.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=[*SECTIONS, "large"], default=list(SECTIONS))
    parser.add_argument(
        "--large", action="store_true", help="top_singular_values at 4096 units as well; minutes"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", nargs=2, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if jax is not None:
        jax.config.update("jax_enable_x64", True)
    if options.child:
        child(*options.child)
        return
    print(
        machine()
        + (
            f", jax {jax.__version__}"
            if jax is not None
            else "; JAX is not installed: its rows are left out"
        )
    )
    if set(options.only) - {"product", "large"}:
        head()
    for section, sizes in (("pairs", (128, 8, 64)), ("big", (512, 4, 128))):
        if section in options.only:
            for name in CELLS:
                part = 128 if section == "big" and name == "lstm" else None
                pairs(name, *sizes, "frobenius", options.repeats if section == "pairs" else 1, part)
                if section == "pairs":
                    pairs(name, *sizes, "spectral", options.repeats if name == "rnn" else 1)
    if "lyapunov" in options.only:
        lyapunov(2000, 256, options.repeats)
    if "lags" in options.only:
        lags(200, 16, 128, options.repeats)
    if "product" in options.only:
        plain_product(128, 128, 256)
    if options.large or "large" in options.only:
        large(1000, 4096)


if __name__ == "__main__":
    main()
