"""Kernels of the libraries, by their signatures, a step at a time from their papers.

Each leaves its states in ``LAST``, whose gradients are kept, and its step, of which A_t is found by
what it makes of unit vectors.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BATCH, TIME, HEADS, KEY, VALUE = 2, 6, 2, 3, 4


class Last:
    """What the last kernel did."""

    states: list[Tensor]
    step: Callable[[int, Tensor], Tensor]
    #: what its states are over those of gradscope
    unit: Tensor | float = 1.0

    def transitions(self) -> Tensor:
        """A_t as (time, batch, head, key, key)."""
        rest = torch.zeros_like(self.states[0])
        found = []
        for t in range(len(self.states) - 1):
            columns = []
            for j in range(rest.shape[-2]):
                unit = rest.clone()
                unit[..., j, :] = 1
                columns.append((self.step(t, unit) - self.step(t, rest))[..., 0])
            found.append(torch.stack(columns, dim=-1).detach())
        return torch.stack(found)

    def gradients(self) -> Tensor:
        """dL/dS_t as (times, batch, head, key, value)."""
        parts = [torch.zeros_like(s) if s.grad is None else s.grad for s in self.states]
        return torch.stack(parts) * self.unit

    def values(self) -> Tensor:
        """S_t."""
        return torch.stack(self.states).detach() / self.unit


LAST = Last()


def scan(
    step: Callable[[int, Tensor], Tensor],
    read: Callable[[int, Tensor, Tensor], Tensor],
    start: Tensor,
    time: int,
    unit: Tensor | float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Outputs (batch, time, head, value), and the last state."""
    state = start * 1 if start.requires_grad else start.detach().clone().requires_grad_()
    states, outputs = [state], []
    for t in range(time):
        before, state = state, step(t, state)
        states.append(state)
        outputs.append(read(t, before, state))
    for kept in states:
        if kept.requires_grad:
            kept.retain_grad()
    LAST.states, LAST.step, LAST.unit = states, step, unit
    return torch.stack(outputs, dim=1), state


def outer(k: Tensor, v: Tensor) -> Tensor:
    """k v^T."""
    return k[..., :, None] * v[..., None, :]


def felt(s: Tensor, q: Tensor) -> Tensor:
    """S^T q."""
    return (s * q[..., None]).sum(-2)


def rest(k: Tensor, v: Tensor, given: Tensor | None) -> Tensor:
    """S_0."""
    zero = torch.zeros(*v.shape[:1], v.shape[2], k.shape[-1], v.shape[-1], dtype=v.dtype)
    return zero if given is None else given


# --- the delta rule -------------------------------------------------------------------------------


def delta(q, k, v, g, beta, scale, start, l2norm, cu_seqlens):
    """S <- a S, then S <- S + beta k (v - S^T k)^T."""
    if l2norm:
        q, k = (x / (x.square().sum(-1, keepdim=True) + 1e-6).sqrt() for x in (q, k))
    groups = v.shape[2] // q.shape[2]
    q, k = q.repeat_interleave(groups, 2), k.repeat_interleave(groups, 2)
    q = q * (q.shape[-1] ** -0.5 if scale is None else scale)
    anew = set() if cu_seqlens is None else set(cu_seqlens[1:].tolist())

    def step(t, s):
        s = s * 0 if t in anew else s
        s = s if g is None else s * g[:, t].exp()
        return s + outer(k[:, t], beta[:, t, :, None] * (v[:, t] - felt(s, k[:, t])))

    return scan(step, lambda t, _, s: felt(s, q[:, t]), rest(k, v, start), v.shape[1])


def chunk_delta_rule(
    q, k, v, beta, scale=None, initial_state=None, output_final_state=False,
    use_qk_l2norm_in_kernel=False, cu_seqlens=None, **kwargs,
):  # fmt: skip
    return delta(q, k, v, None, beta, scale, initial_state, use_qk_l2norm_in_kernel, cu_seqlens)


def chunk_gated_delta_rule(
    q, k, v, g, beta, scale=None, initial_state=None, output_final_state=False,
    use_qk_l2norm_in_kernel=False, cu_seqlens=None, **kwargs,
):  # fmt: skip
    g = g[..., None, None]
    return delta(q, k, v, g, beta, scale, initial_state, use_qk_l2norm_in_kernel, cu_seqlens)


def torch_chunk_gated_delta_rule(
    query, key, value, g, beta, chunk_size=64, initial_state=None, output_final_state=False,
    use_qk_l2norm_in_kernel=False, **kwargs,
):  # fmt: skip
    g = g[..., None, None]
    return delta(query, key, value, g, beta, None, initial_state, use_qk_l2norm_in_kernel, None)


def chunk_kda(
    q, k, v, g, beta, scale=None, initial_state=None, output_final_state=False,
    use_qk_l2norm_in_kernel=False, cu_seqlens=None, **kwargs,
):  # fmt: skip
    g = g[..., None]
    return delta(q, k, v, g, beta, scale, initial_state, use_qk_l2norm_in_kernel, cu_seqlens)


def chunk_kimi_delta_attention(
    query, key, value, g, beta, chunk_size=64, initial_state=None, output_final_state=False,
    use_qk_l2norm_in_kernel=False, **kwargs,
):  # fmt: skip
    g = g[..., None]
    return delta(query, key, value, g, beta, None, initial_state, use_qk_l2norm_in_kernel, None)


def chunk_dplr_delta_rule(
    q, k, v, a, b, gk, scale=None, initial_state=None, output_final_state=False, cu_seqlens=None
):
    q = q * (q.shape[-1] ** -0.5 if scale is None else scale)

    def step(t, s):
        return (
            gk[:, t, :, :, None].exp() * s
            + outer(b[:, t], felt(s, a[:, t]))
            + outer(k[:, t], v[:, t])
        )

    return scan(step, lambda t, _, s: felt(s, q[:, t]), rest(k, v, initial_state), v.shape[1])


def chunk_rwkv7(
    r, w, k, v, a, b, scale=1.0, initial_state=None, output_final_state=False, cu_seqlens=None
):
    return chunk_dplr_delta_rule(r, k, v, a, b, w, scale, initial_state)


def fused_mul_recurrent_rwkv7(
    r, w, k, v, kk, a, scale=1.0, initial_state=None, output_final_state=False, reverse=False,
    cu_seqlens=None,
):  # fmt: skip
    return chunk_dplr_delta_rule(r, k, v, -kk, kk * a, w, scale, initial_state)


# --- diagonal -------------------------------------------------------------------------------------


def decaying(q, k, v, decay, scale, start, cu_seqlens=None, bonus=None):
    """S <- a S + k v^T; with a bonus what is read is S_{t-1} + diag(u) k v^T."""
    q = q * (q.shape[-1] ** -0.5 if scale is None else scale)
    anew = set() if cu_seqlens is None else set(cu_seqlens[1:].tolist())

    def step(t, s):
        s = s * 0 if t in anew else s
        return decay[:, t] * s + outer(k[:, t], v[:, t])

    def read(t, before, after):
        if bonus is None:
            return felt(after, q[:, t])
        return felt(before + bonus[..., None] * outer(k[:, t], v[:, t]), q[:, t])

    return scan(step, read, rest(k, v, start), v.shape[1])


def chunk_gla(
    q, k, v, g, scale=None, initial_state=None, output_final_state=False, cu_seqlens=None
):
    return decaying(q, k, v, g.exp()[..., None], scale, initial_state, cu_seqlens)


def fused_recurrent_gla(
    q, k, v, gk=None, gv=None, scale=None, initial_state=None, output_final_state=False,
    reverse=False, cu_seqlens=None,
):  # fmt: skip
    return decaying(q, k, v, gk.exp()[..., None], scale, initial_state, cu_seqlens)


def chunk_simple_gla(
    q, k, v, g=None, g_gamma=None, scale=None, initial_state=None, output_final_state=False,
    cu_seqlens=None,
):  # fmt: skip
    decay = torch.zeros(()) if g is None else g
    decay = decay if g_gamma is None else (decay + g_gamma).expand(q.shape[:3])
    return decaying(q, k, v, decay.exp()[..., None, None], scale, initial_state, cu_seqlens)


def chunk_retention(
    q, k, v, scale=None, initial_state=None, output_final_state=False, cu_seqlens=None, **kwargs
):
    decay = 1 - 2 ** (-5 - torch.arange(q.shape[2], dtype=torch.float64)).to(q)
    whole = decay[:, None, None].expand(*q.shape[:3], 1, 1)
    return decaying(q, k, v, whole, scale, initial_state, cu_seqlens)


def chunk_linear_attn(
    q, k, v, scale=None, initial_state=None, output_final_state=False, normalize=True,
    cu_seqlens=None,
):  # fmt: skip
    kept, before = initial_state if isinstance(initial_state, tuple) else (initial_state, 0)
    one = torch.ones(*q.shape[:3], 1, 1, dtype=q.dtype)
    output, last = decaying(q, k, v, one, scale, kept, cu_seqlens)
    if normalize:
        q = q * (q.shape[-1] ** -0.5 if scale is None else scale)
        output = output / ((q * (k.cumsum(1) + before)).sum(-1, keepdim=True) + 1e-10)
    return output, last


def chunk_rwkv6(
    r, k, v, w, u, scale=None, initial_state=None, output_final_state=False, cu_seqlens=None
):
    return decaying(r, k, v, w.exp()[..., None], scale, initial_state, cu_seqlens, bonus=u)


def mamba_chunk_scan_combined(
    x, dt, A, B, C, chunk_size, D=None, z=None, dt_bias=None, initial_states=None, seq_idx=None,
    dt_softplus=False, dt_limit=(0.0, float("inf")), return_final_states=False,
):  # fmt: skip
    dt = dt if dt_bias is None else dt + dt_bias
    dt = (F.softplus(dt) if dt_softplus else dt).clamp(*dt_limit)
    groups = x.shape[2] // B.shape[2]
    B, C = (part.repeat_interleave(groups, 2) for part in (B, C))

    def step(t, s):
        if seq_idx is not None and t:
            s = s * (seq_idx[:, t] == seq_idx[:, t - 1])[:, None, None, None]
        return (dt[:, t] * A).exp()[..., None, None] * s + outer(
            B[:, t], dt[:, t, :, None] * x[:, t]
        )

    def read(t, _, s):
        y = felt(s, C[:, t])
        y = y if D is None else y + D[:, None] * x[:, t]
        return y if z is None else y * F.silu(z[:, t])

    start = None if initial_states is None else initial_states.mT
    return scan(step, read, rest(B, x, start), x.shape[1])[0]


def selective_scan_fn(
    u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False,
    return_last_state=False,
):  # fmt: skip
    delta = delta if delta_bias is None else delta + delta_bias[:, None]
    delta = F.softplus(delta) if delta_softplus else delta

    def spread(part, t):  # (batch, key, time), or with groups of channels
        part = part[:, None] if part.dim() == 3 else part
        return part[..., t].repeat_interleave(u.shape[1] // part.shape[1], 1)

    def step(t, s):
        d = delta[:, :, t, None]
        return ((d * A).exp() * s[..., 0] + d * spread(B, t) * u[:, :, t, None])[..., None]

    def read(t, _, s):
        y = (s[..., 0] * spread(C, t)).sum(-1)
        y = y if D is None else y + D * u[:, :, t]
        return y if z is None else y * F.silu(z[:, :, t])

    start = torch.zeros(u.shape[0], u.shape[1], A.shape[1], 1, dtype=u.dtype)
    return scan(step, read, start, u.shape[2])[0].transpose(1, 2)


def parallel_stabilized_simple(
    queries, keys, values, igate_preact, fgate_preact, lower_triangular_matrix=None,
    stabilize_rowwise=True, eps=1e-6,
):  # fmt: skip
    q, k, v = (x.transpose(1, 2) for x in (queries, keys, values))
    i, f = (x.transpose(1, 2) for x in (igate_preact, fgate_preact))
    v = torch.cat((v, torch.ones_like(v[..., :1])), -1)

    def step(t, s):
        return torch.sigmoid(f[:, t, :, :, None]) * s + i[:, t, :, :, None].exp() * outer(
            k[:, t], v[:, t]
        )

    def read(t, _, s):
        y = felt(s, q[:, t] * q.shape[-1] ** -0.5)
        return y[..., :-1] / y[..., -1:].abs().clamp_min(1.0)

    unit = i.amax(1).exp()[..., None].detach()
    return scan(step, read, rest(k, v, None), v.shape[1], unit)[0].transpose(1, 2)


def _rnn_scan(hidden_states, recurrent_gate, reset, recurrent_states, acc_dtype=torch.float32):
    gate = recurrent_gate * ~reset

    def step(t, s):
        return gate[:, t, :, None, None] * s + hidden_states[:, t, :, None, None]

    start = torch.zeros_like(gate[:, 0]) if recurrent_states is None else recurrent_states
    output, last = scan(step, lambda t, _, s: s[..., 0, 0], start[..., None, None], gate.shape[1])
    return output, last[..., 0, 0]


def heinsen_associative_scan_log(log_coeffs, log_values):
    def step(t, s):
        return (log_coeffs[:, t].exp() * s[..., 0, 0] + log_values[:, t].exp())[..., None, None]

    start = torch.zeros_like(log_coeffs[:, 0])[..., None, None]
    return scan(step, lambda t, _, s: s[..., 0, 0], start, log_coeffs.shape[1])[0]


class Calls(nn.Module):
    """A module that calls a kernel, which it holds itself."""

    def __init__(self, function: Callable[..., object]):
        super().__init__()
        self.run = function

    def forward(self, **given: object) -> Tensor:
        output = self.run(**given)
        return output[0] if isinstance(output, tuple) else output


def under(function: Callable[..., object], name: str) -> Callable[..., object]:
    """The function under another name."""

    def renamed(*args: object, **kwargs: object) -> object:
        return function(*args, **kwargs)

    renamed.__name__, renamed.__wrapped__ = name, function
    return renamed
