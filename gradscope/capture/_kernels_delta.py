"""Kernels of the delta rule: DeltaNet, Gated DeltaNet, KDA, and RWKV-7."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gradscope.capture._kernel import Given, Kernel, KernelCall, full, normalised, spread


def _read_delta(given: Given, log_diagonal: Tensor | None) -> KernelCall:
    """A_t = (I - beta k k^T) diag(a), B_t = beta k v^T; a is 1 where there is no decay."""
    value = full(given.tensor("v", "value"))
    batch, time, heads, _ = value.shape
    query, key = full(given.tensor("q", "query")), full(given.tensor("k", "key"))
    if given.is_set("use_qk_l2norm_in_kernel"):
        query, key = normalised(query), normalised(key)
    query, key = spread(query, heads), spread(key, heads)
    beta = full(given.tensor("beta"))
    beta = beta.unsqueeze(-1) if beta.dim() == 3 else beta
    scale = given.number("scale")
    decay = key.new_zeros(batch, time, heads, 1) if log_diagonal is None else full(log_diagonal)
    largest = decay.amax(-1, keepdim=True)
    largest = torch.where(largest.isfinite(), largest, torch.zeros_like(largest))
    # a beta for each value column leaves A_t a column of its own, so it must be one of a head
    strength = beta if beta.shape[-1] == 1 else beta[..., :1]
    return KernelCall(
        decay,
        key * strength,
        value,
        query * (query.shape[-1] ** -0.5 if scale is None else scale),
        (-strength * key).unsqueeze(-1),
        ((decay - largest).exp() * key).unsqueeze(-1),
        given.find("initial_state"),
        given.begins(batch, time),
    )


class DeltaRule(Kernel):
    """DeltaNet: S_t = (I - beta_t k_t k_t^T) S_{t-1} + beta_t k_t v_t^T.

    Reference: Yang et al. (2024), Parallelizing linear transformers with the delta rule over
    sequence length.
    """

    names = ("chunk_delta_rule", "fused_chunk_delta_rule", "fused_recurrent_delta_rule")
    about = "the delta rule"

    def read(self, given: Given, module: nn.Module) -> KernelCall | None:
        """Keys and strengths."""
        return _read_delta(given, None)


class GatedDeltaRule(Kernel):
    """Gated DeltaNet: S_t = a_t (I - beta_t k_t k_t^T) S_{t-1} + beta_t k_t v_t^T, ln a_t = g_t.

    Reference: Yang, Kautz and Hatamizadeh (2025), Gated delta networks.
    """

    names = (
        "torch_chunk_gated_delta_rule",
        "torch_recurrent_gated_delta_rule",
        "chunk_gated_delta_rule",
        "fused_recurrent_gated_delta_rule",
    )
    about = "the gated delta rule"

    def read(self, given: Given, module: nn.Module) -> KernelCall | None:
        """Keys, strengths, and a decay of each head."""
        return _read_delta(given, given.tensor("g").unsqueeze(-1))


class KimiDelta(Kernel):
    """KDA: S_t = (I - beta_t k_t k_t^T) diag(a_t) S_{t-1} + beta_t k_t v_t^T, ln a_t = g_t.

    Reference: Kimi Team (2025), Kimi Linear: an expressive, efficient attention architecture.
    """

    names = (
        "chunk_kda",
        "fused_recurrent_kda",
        "chunk_kimi_delta_attention",
        "recurrent_kimi_delta_attention",
    )
    about = "the delta rule with a decay for each key (KDA)"

    def read(self, given: Given, module: nn.Module) -> KernelCall | None:
        """Keys, strengths, and a decay of each key."""
        return _read_delta(given, given.tensor("g"))


class Rwkv7(Kernel):
    """RWKV-7: S_t = (diag(w_t) + b_t a_t^T) S_{t-1} + k_t v_t^T.

    Reference: Peng et al. (2025), RWKV-7 "Goose" with expressive dynamic state evolution.
    """

    names = (
        "chunk_rwkv7",
        "fused_recurrent_rwkv7",
        "fused_mul_recurrent_rwkv7",
        "chunk_dplr_delta_rule",
        "fused_recurrent_dplr_delta_rule",
    )
    about = "a decay for each key and a matrix of rank 1 (RWKV-7)"

    def read(self, given: Given, module: nn.Module) -> KernelCall | None:
        """Keys, decays, and the two factors of what is not diagonal."""
        query, key = full(given.tensor("r", "q")), full(given.tensor("k"))
        decay = full(given.tensor("w", "gk", "log_w"))
        left, right = given.find("b", "beta"), given.find("a", "alpha")
        if left is None or right is None:  # the form of RWKV-7 itself: a = -kk, b = kk * a
            removed, rate = given.tensor("kk"), given.tensor("a")
            left, right = removed * rate, -removed
        scale = given.number("scale")
        largest = decay.amax(-1, keepdim=True)
        return KernelCall(
            decay,
            key,
            full(given.tensor("v")),
            query * (1.0 if scale is None else scale),
            full(left).unsqueeze(-1),
            (full(right) * (-largest).exp()).unsqueeze(-1),
            given.find("initial_state"),
            given.begins(*key.shape[:2]),
        )
