"""Kernels whose transitions are diagonal: Mamba-1 and -2, GLA, RetNet, RWKV-6."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscope.capture._kernel import Given, Kernel, KernelCall, Tail, full, spread
from gradscope.errors import GradscopeError


class Ssd(Kernel):
    """Mamba-2: S_t = e^(dt_t A) S_{t-1} + B_t (dt_t x_t)^T, o_t = S_t^T C_t + D x_t, A of a head.

    Reference: Dao and Gu (2024), Transformers are SSMs.
    """

    names = ("mamba2_chunk_scan", "mamba_chunk_scan_combined", "chunk_simple_ssd")
    about = "a decay of each head (SSD)"

    def read(self, given: Given, module: nn.Module) -> KernelCall | None:
        """Steps, decays, and what is written."""
        x = full(given.tensor("hidden_states", "x"))
        dt = _step_size(given, full(given.tensor("dt")), given.find("dt_bias"))
        heads, start = x.shape[2], given.start("initial_states")
        return KernelCall(
            (dt * full(given.tensor("A"))).unsqueeze(-1),
            spread(full(given.tensor("B")), heads),
            dt.unsqueeze(-1) * x,
            spread(full(given.tensor("C")), heads),
            start=None if start is None else start.mT,
            begins=_documents(given.find("seq_idx")),
            tail=_skip_and_gate(given, x),
        )


class SelectiveScan(Kernel):
    """Mamba-1: s_t = e^(dt_t A) s_{t-1} + dt_t B_t x_t, channel by channel.

    A channel is a head of its own, whose value axis has length 1.

    Reference: Gu and Dao (2023), Mamba: linear-time sequence modeling with selective state spaces.
    """

    names = ("mamba_selective_scan", "selective_scan_fn", "selective_scan_ref")
    about = "a decay of each key of a channel (selective scan)"

    def read(self, given: Given, module: nn.Module) -> KernelCall | None:
        """Steps, decays, and what is written; arguments are (batch, channel, time)."""
        x = full(given.tensor("hidden_states", "u", "x"))
        dt = full(given.tensor("dt", "delta", "time_step"))
        bias = given.find("delta_bias", "dt_bias", "time_proj_bias")
        dt = dt if bias is None else dt + full(bias)[:, None]
        dt = F.softplus(dt) if given.is_set("delta_softplus") else dt
        a, channels = full(given.tensor("A")), x.shape[1]
        rest = (_by_channel(full(given.tensor(name)), channels) for name in ("B", "C"))
        b, c = rest
        by_time = dt.transpose(1, 2)
        return KernelCall(
            by_time.unsqueeze(-1) * a,
            b,
            (by_time * x.transpose(1, 2)).unsqueeze(-1),
            c,
            tail=_channels(given, x),
        )


class GatedLinearAttention(Kernel):
    """GLA: S_t = diag(a_t) S_{t-1} + k_t v_t^T, ln a_t = g_t, of each key.

    Reference: Yang et al. (2024), Gated linear attention transformers with hardware-efficient
    training.
    """

    names = ("chunk_gla", "fused_chunk_gla", "fused_recurrent_gla")
    about = "a decay of each key (GLA)"

    def read(self, given: Given, module: nn.Module) -> KernelCall | None:
        """Keys and decays."""
        given.refuse("gv")
        return _attention(given, full(given.tensor("g", "gk")))


class SimpleGatedAttention(Kernel):
    """S_t = a_t S_{t-1} + k_t v_t^T, one decay of a head: simple GLA, Lightning attention.

    Reference: Qin et al. (2024), Lightning attention-2; Dao and Gu (2024), Transformers are SSMs.
    """

    names = ("chunk_simple_gla", "fused_recurrent_simple_gla", "parallel_simple_gla")
    about = "a decay of each head"

    def read(self, given: Given, module: nn.Module) -> KernelCall | None:
        """Keys, and a decay of each head, from the input or for good."""
        decay, for_good = given.find("g"), given.find("g_gamma")
        key = given.tensor("k")
        whole = key.new_zeros(*key.shape[:3])
        for part in (decay, for_good):
            whole = whole if part is None else whole + part
        return _attention(given, whole.unsqueeze(-1))


class Retention(Kernel):
    """RetNet: S_t = a S_{t-1} + k_t v_t^T with a = 1 - 2^(-5 - i) in head i.

    Reference: Sun et al. (2023), Retentive network: a successor to transformer.
    """

    names = (
        "chunk_retention",
        "parallel_retention",
        "fused_recurrent_retention",
        "fused_chunk_retention",
    )
    about = "a decay of each head, the same at all steps (RetNet)"

    def read(self, given: Given, module: nn.Module) -> KernelCall | None:
        """Keys."""
        key = given.tensor("k")
        heads = key.shape[2]
        index = torch.arange(heads, device=key.device, dtype=torch.float64)
        decay = torch.log1p(-(2.0 ** (-5 - index))).to(full(key).dtype)
        return _attention(given, decay[:, None].expand(*key.shape[:3], 1))


class LinearAttention(Kernel):
    """Linear attention: S_t = S_{t-1} + k_t v_t^T, which forgets nothing.

    Reference: Katharopoulos et al. (2020), Transformers are RNNs.
    """

    names = ("chunk_linear_attn", "fused_chunk_linear_attn", "fused_recurrent_linear_attn")
    about = "a sum over all steps (linear attention)"

    def read(self, given: Given, module: nn.Module) -> KernelCall | None:
        """Keys; where the output is a mean, the weights are a sum of keys that no state feels."""
        key = given.tensor("k")
        call = _attention(given, key.new_zeros(*key.shape[:3], 1))
        if not given.is_set("normalize"):
            return call
        given.refuse("cu_seqlens")
        came, before = given.values.get("initial_state"), 0.0
        if isinstance(came, tuple) and isinstance(came[1], Tensor):
            before = full(came[1].detach())
        below = (call.query * (call.key.cumsum(1) + before)).sum(-1, keepdim=True) + 1e-10
        return replace(call, tail=lambda reads: reads / below)


class Rwkv6(Kernel):
    """RWKV-6: o_t = (S_{t-1} + diag(u) k_t v_t^T)^T r_t, S_t = diag(w_t) S_{t-1} + k_t v_t^T.

    Reference: Peng et al. (2024), Eagle and Finch: RWKV with matrix-valued states.
    """

    names = ("chunk_rwkv6", "fused_recurrent_rwkv6")
    about = "a decay of each key (RWKV-6)"

    def read(self, given: Given, module: nn.Module) -> KernelCall | None:
        """Keys and decays; what is written at a step is read there by a bonus of its own."""
        read, key, value = (full(given.tensor(*names)) for names in (("r", "q"), ("k",), ("v",)))
        scale = given.number("scale")
        given.refuse("reverse")
        read = read * (read.shape[-1] ** -0.5 if scale is None else scale)
        now = (read * full(given.tensor("u")) * key).sum(-1, keepdim=True) * value
        return KernelCall(
            full(given.tensor("w")),
            key,
            value,
            read,
            start=given.start("initial_state"),
            begins=given.begins(*key.shape[:2]),
            reads_before=True,
            tail=lambda reads: reads + now,
        )


# --- what several have in common ------------------------------------------------------------------


def _attention(given: Given, log_diagonal: Tensor) -> KernelCall:
    """What attention without a softmax reads and writes, with these decays."""
    given.refuse("reverse")
    query, key = full(given.tensor("q", "query")), full(given.tensor("k", "key"))
    scale = given.number("scale")
    return KernelCall(
        log_diagonal,
        key,
        full(given.tensor("v", "value")),
        query * (query.shape[-1] ** -0.5 if scale is None else scale),
        start=given.start("initial_state"),
        begins=given.begins(*key.shape[:2]),
    )


def _step_size(given: Given, dt: Tensor, bias: Tensor | None) -> Tensor:
    """dt_t as Mamba-2 makes it: with a bias, softplus and limits where it is told."""
    dt = dt if bias is None else dt + full(bias)
    dt = F.softplus(dt) if given.is_set("dt_softplus") else dt
    limits = given.values.get("dt_limit")
    return dt.clamp(*limits) if isinstance(limits, tuple | list) else dt


def _skip_and_gate(given: Given, x: Tensor) -> Tail | None:
    """(o + D x) silu(z)."""
    skip, gate = given.find("D"), given.find("z")
    if skip is None and gate is None:
        return None
    passed = 0.0 if skip is None else full(skip).reshape(skip.shape[0], -1) * x

    def tail(reads: Tensor) -> Tensor:
        whole = reads + passed
        return whole if gate is None else whole * F.silu(full(gate))

    return tail


def _channels(given: Given, x: Tensor) -> Tail:
    """(o + D x) silu(z), as (batch, channel, time)."""
    skip, gate = given.find("D"), given.find("z", "gate")
    passed = 0.0 if skip is None else full(skip)[:, None] * x

    def tail(reads: Tensor) -> Tensor:
        whole = reads.squeeze(-1).transpose(1, 2) + passed
        return whole if gate is None else whole * F.silu(full(gate))

    return tail


def _by_channel(x: Tensor, channels: int) -> Tensor:
    """B or C, ``(batch, key, time)``, or with groups of channels, as (batch, time, head, key)."""
    if x.dim() < 3:
        raise GradscopeError(
            "B and C of a selective scan are the same at all steps here; gradscope "
            "reads those that come from the input"
        )
    grouped = x.unsqueeze(1) if x.dim() == 3 else x
    by_time = grouped.permute(0, 3, 1, 2)
    groups = by_time.shape[2]
    return by_time.repeat_interleave(channels // groups, dim=2)


def _documents(index: Tensor | None) -> Tensor | None:
    """Where a document begins, from the number of each step's document."""
    if index is None:
        return None
    changes = torch.zeros(index.shape, dtype=torch.bool, device=index.device)
    changes[:, 1:] = index[:, 1:] != index[:, :-1]
    return changes
