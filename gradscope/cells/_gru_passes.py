"""The forward and backward pass of torch's GRU, in buffers that are written in place.

    forward    r, z = sigmoid(u_r + v_r), sigmoid(u_z + v_z)       n = tanh(u_n + r v_n)
               h_t = n + z (h_{t-1} - n)
    backward   d_n = a_t (1 - z) n'      d_r = d_n v_n r'      d_z = a_t (h_{t-1} - n) z'
               a_{t-1} += z a_t + [d_r, d_z, r d_n] W_hh

with u = W_ih x_t + b_ih and v = W_hh h_{t-1} + b_hh. Whatever does not depend on the step before is
computed for many steps at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.cells._products import add_product, product, room
from gradscope.dynamics.activations import sigmoid_complement, tanh_slope, write_tanh


class GRUSteps(NamedTuple):
    """What the backward pass needs of some steps.

    Attributes:
        u: what the nonlinearities get, of r, z and n side by side.
        v: r and z, and then v_n.
        n: the candidate.
    """

    u: Float[Tensor, "time *batch gates"]
    v: Float[Tensor, "time *batch gates"]
    n: Float[Tensor, "time *batch hidden"]


def scan(
    u_by_step: Iterable[Tensor],
    steps: GRUSteps,
    states: Float[Tensor, "times *batch hidden"],
    weight_hh: Float[Tensor, "*trial gates hidden"],
    bias_hh: Float[Tensor, "*trial gates"] | None,
) -> None:
    """Run the steps: ``states`` has s_0 and room for the others.

    Args:
        u_by_step: W_ih x_t + b_ih, views of ``steps.u``.
        steps: has room for the rest.
        states: is filled.
        weight_hh: W_hh.
        bias_hh: b_hh.
    """
    size, weight, each = states.shape[-1], weight_hh.mT, states.unbind(0)
    rows = zip(u_by_step, steps.v.unbind(0), steps.n.unbind(0), each[:-1], each[1:], strict=True)
    for u, v, n, before, after in rows:
        product(before, weight, bias_hh, v)
        u_gates, v_gates, u_n = u[..., : 2 * size], v[..., : 2 * size], u[..., 2 * size :]
        u_gates += v_gates
        torch.sigmoid(u_gates, out=v_gates)
        u_n.addcmul_(v[..., :size], v[..., 2 * size :])
        write_tanh(u_n, n)
        torch.lerp(n, before, v[..., size : 2 * size], out=after)


def backpropagate(
    steps: GRUSteps,
    s_prev: Float[Tensor, "time *batch hidden"],
    adjoints: Float[Tensor, "time+1 *batch hidden"],
    weight_hh: Float[Tensor, "*trial gates hidden"],
) -> tuple[Float[Tensor, "time *batch gates"], Float[Tensor, "time *batch gates"]]:
    """Turn ``adjoints`` from dl_t/ds_t into a_t in place; return (dL/dv, dL/du)."""
    size = steps.n.shape[-1]
    u_r, u_z, u_n = steps.u.split(size, dim=-1)
    r, z, v_n = steps.v.split(size, dim=-1)
    rest = sigmoid_complement(u_z, z)
    through_n = tanh_slope(u_n, steps.n).mul_(rest)
    count, *batch, _ = steps.n.shape
    deltas = room(adjoints, count, batch, 3 * size)
    by_r, by_z, by_n = deltas.split(size, dim=-1)
    torch.mul(through_n, r, out=by_n)
    torch.mul(by_n, v_n, out=by_r).mul_(sigmoid_complement(u_r, r))
    torch.sub(s_prev, steps.n, out=by_z).mul_(z).mul_(rest)
    a, delta, kept = adjoints.unbind(0), deltas.unbind(0), z.unbind(0)
    for t in range(count - 1, -1, -1):
        before, after = a[t], a[t + 1]
        delta[t].mul_(torch.cat((after, after, after), dim=-1))
        before.addcmul_(after, kept[t])
        add_product(before, delta[t], weight_hh)
    by_u = deltas.clone()
    torch.mul(through_n, adjoints[1:], out=by_u[..., 2 * size :])
    return deltas, by_u
