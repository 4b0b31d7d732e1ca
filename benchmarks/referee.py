"""Independent referees: JAX in the usual range, mpmath at the edges (``referee_edges``).

    python -m benchmarks.referee

JAX has the same weights and inputs in float64, every step written by hand from its equations.
States, Jacobians, products, adjoints, gradients, lag contributions and Lyapunov exponents by
jax.jacfwd, jax.grad and jax.lax.scan against gradscope's. The table gives the largest absolute
difference over the largest entry of the quantity (of log norms the difference itself); the exit
status is 1 where one is above 1e-10. JAX is no dependency of gradscope: without it the usual range
is not compared.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import gradscope
from benchmarks import referee_edges
from benchmarks.referee_edges import start
from gradscope.cells.gru import GRU
from gradscope.cells.lstm import LSTM
from gradscope.cells.rnn import RNN

try:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
except ImportError:
    jax = None

CELLS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}
TIME, BATCH, INPUT, HIDDEN = 40, 3, 2, 8
EVERY = 8
TOLERANCE = 1e-10


# --- one step of one sequence, from the equations, in torch's gate order --------------------------


def rnn(w: dict, x: Any, s: Any) -> Any:
    """h = tanh(W_ih x + b_ih + W_hh h' + b_hh)."""
    return jnp.tanh(w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ s + w["bias_hh"])


def lstm(w: dict, x: Any, s: Any) -> Any:
    """c = f c' + i g, h = o tanh(c); gates i, f, g, o."""
    h, c = jnp.split(s, 2)
    i, f, g, o = jnp.split(w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ h + w["bias_hh"], 4)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jnp.concatenate((jax.nn.sigmoid(o) * jnp.tanh(c), c))


def gru(w: dict, x: Any, s: Any) -> Any:
    """h = (1 - z) n + z h', n = tanh(W_in x + b_in + r (W_hn h' + b_hn)); gates r, z, n."""
    r_x, z_x, n_x = jnp.split(w["weight_ih"] @ x + w["bias_ih"], 3)
    r_h, z_h, n_h = jnp.split(w["weight_hh"] @ s + w["bias_hh"], 3)
    z = jax.nn.sigmoid(z_x + z_h)
    return (1 - z) * jnp.tanh(n_x + jax.nn.sigmoid(r_x + r_h) * n_h) + z * s


STEPS: dict[str, Callable] = {"rnn": rnn, "lstm": lstm, "gru": gru}


def unrolled(step: Callable, w: dict, inputs: Any, s: Any, shifts: Any | None = None) -> Any:
    """All states of one sequence from s_0 on; ``shifts`` are added to them, each before the next
    step.
    """
    shifts = jnp.zeros((len(inputs) + 1, *s.shape), s.dtype) if shifts is None else shifts

    def one(state: Any, each: Any) -> Any:
        after = step(w, each[0], state) + each[1]
        return after, after

    first = s + shifts[0]
    return jnp.concatenate((first[None], jax.lax.scan(one, first, (inputs, shifts[1:]))[1]))


# --- both sides -----------------------------------------------------------------------------------


def compared(name: str, ours_class: type) -> dict[str, float]:
    """Quantity to the largest difference, relative to the quantity's scale."""
    generator = torch.Generator().manual_seed(1)
    cell = ours_class(INPUT, hidden_size=HIDDEN, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        cell.weight_hh *= 2.0  # livelier than the default draw
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64, generator=generator)
    s = torch.randn(BATCH, cell.state_size, dtype=torch.float64, generator=generator) * 0.5
    readout = torch.randn(HIDDEN, dtype=torch.float64, generator=generator)
    targets = torch.randn(TIME, BATCH, dtype=torch.float64, generator=generator)

    trace = gradscope.unroll(cell, x, s)
    losses = (cell.hidden(trace.states[1:]) @ readout - targets).square()
    step = STEPS[name]
    w = {key: jnp.asarray(value.detach().numpy()) for key, value in cell.named_parameters()}
    xs, s0, v, y = (jnp.asarray(value.numpy()) for value in (x, s, readout, targets))

    def batched(function: Callable, *axes: int) -> Callable:
        return jax.vmap(function, in_axes=axes, out_axes=1)

    def scores(states: Any, y: Any) -> Any:
        return (states[1:, :HIDDEN] @ v - y) ** 2

    def loss(w: dict, shifts: Any) -> Any:
        states = batched(lambda x, s, e: unrolled(step, w, x, s, e), 1, 0, 1)(xs, s0, shifts)
        return batched(scores, 1, 1)(states, y).sum()

    found: dict[str, float] = {}
    states = batched(lambda x, s: unrolled(step, w, x, s), 1, 0)(xs, s0)
    found["states"] = _difference(trace.states, states)

    jacobian = jax.vmap(jax.vmap(jax.jacfwd(lambda s, x: step(w, x, s))))
    jacobians = jacobian(states[:-1], xs)
    found["step Jacobians"] = _difference(gradscope.step_jacobians(trace), jacobians)

    # straight from the unroll, not from the steps' Jacobians: every s_t by s_k
    log_norms = gradscope.jacobian_log_norms(trace)
    worst = 0.0
    derivative = jax.jit(jax.vmap(jax.jacfwd(lambda s, x: unrolled(step, w, x, s))))
    for k in range(0, TIME, EVERY):
        by_k = derivative(states[k], xs[k:].swapaxes(0, 1))
        if k == 0:
            found["J_{T:0}"] = _difference(
                gradscope.jacobian_product(trace, TIME, 0).matrix(), by_k[:, -1]
            )
        norms = jnp.log(jnp.linalg.svd(by_k, compute_uv=False)[..., 0]).T
        worst = max(worst, float(np.abs(log_norms[k:, k].numpy() - np.asarray(norms)).max()))
    found[f"ln ||J_{{t:k}}||, k = 0, {EVERY}, .."] = worst

    zero = jnp.zeros_like(states)
    found["dL/ds_t"] = _difference(
        gradscope.adjoints(trace, losses).values(), jax.grad(loss, argnums=1)(w, zero)
    )
    by_weights = jax.grad(loss)(w, zero)
    ours = gradscope.gradient(trace, losses)
    found["dL/dW"] = max(_difference(ours[key], by_weights[key]) for key in w)

    contributions = gradscope.lag_contributions(trace, losses, tensors=True).tensors
    assert contributions is not None
    theirs = _by_lag(step, w, xs, s0, y, scores)
    found["lag contributions"] = max(_difference(contributions[key], theirs[key]) for key in w)

    spectrum = gradscope.lyapunov_spectrum(trace)
    found["Lyapunov exponents"] = _difference(
        spectrum.finite_time, _exponents(jacobians, spectrum.burn_in)
    )
    return found


def _by_lag(step: Callable, w: dict, xs: Any, s0: Any, y: Any, scores: Callable) -> dict[str, Any]:
    """Every step has its own copy of the weights; the derivative of loss t by copy k belongs to lag
    t - k.
    """

    def losses(copies: dict, x: Any, s: Any, y: Any) -> Any:
        def one(state: Any, each: Any) -> Any:
            after = step(each[0], each[1], state)
            return after, after

        return scores(jnp.concatenate((s[None], jax.lax.scan(one, s, (copies, x))[1])), y)

    copies = {key: jnp.broadcast_to(value, (TIME, *value.shape)) for key, value in w.items()}
    by_copies, total = jax.jit(jax.jacrev(losses)), {}
    for b in range(BATCH):
        for key, value in by_copies(
            copies, xs[:, b], s0[b], y[:, b]
        ).items():  # (loss t, copy k, ...)
            by_pair = np.asarray(value)
            lags = [sum(by_pair[t, t - lag] for t in range(lag, TIME)) for lag in range(TIME)]
            total[key] = total.get(key, 0) + np.stack(lags)
    return total


def _exponents(jacobians: Any, burn_in: int) -> Any:
    """QR at every step, from the start that gradscope draws."""
    time, batch, size = jacobians.shape[:3]

    def one(q: Any, jacobian: Any) -> Any:
        q, r = jnp.linalg.qr(jacobian @ q)
        return q, jnp.log(jnp.abs(jnp.diagonal(r, axis1=-2, axis2=-1)))

    logs = jax.lax.scan(one, jnp.broadcast_to(start(size), (batch, size, size)), jacobians)[1]
    return logs[burn_in:].sum(0) / (time - burn_in)


def _difference(ours: torch.Tensor, theirs: Any) -> float:
    theirs = np.asarray(theirs)
    assert tuple(ours.shape) == theirs.shape, (ours.shape, theirs.shape)
    return float(np.abs(ours.detach().numpy() - theirs).max() / np.abs(theirs).max())


def main() -> int:
    torch.set_num_threads(1)
    edges = referee_edges.main()
    return max(edges, _usual_range())


def _usual_range() -> int:
    """Print the table against JAX; 1 if anything differs by more than rounding."""
    if jax is None:
        print("JAX is not installed: the usual range is not compared (pip install jax)")
        return 0
    print(
        f"jax {jax.__version__}, torch {torch.__version__}, float64; time {TIME}, batch {BATCH},"
        f" hidden {HIDDEN}"
    )
    columns = {name: compared(name, ours) for name, ours in CELLS.items()}
    print(f"{'largest relative difference':<30}" + "".join(f"{name:>12}" for name in columns))
    for quantity in next(iter(columns.values())):
        print(
            f"{quantity:<30}" + "".join(f"{column[quantity]:>12.1e}" for column in columns.values())
        )
    # a NaN is not below the tolerance either
    agree = all(value <= TOLERANCE for column in columns.values() for value in column.values())
    print(f"all within {TOLERANCE:g}" if agree else f"NOT all within {TOLERANCE:g}")
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
