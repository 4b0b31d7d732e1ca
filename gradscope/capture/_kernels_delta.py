"""Kernels of the delta rule: DeltaNet, Gated DeltaNet, KDA, and RWKV-7."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscope.capture._kernel import Given, Kernel, KernelCall, full, normalised, spread
from gradscope.errors import GradscopeError


def _read_delta(given: Given, log_diagonal: Tensor | None) -> KernelCall:
    """A_t = (I - beta k k^T) diag(a), B_t = beta k v^T; a is 1 where there is no decay."""
    value = full(given.tensor("v", "value"))
    batch, time, heads, _ = value.shape
    query, key = full(given.tensor("q", "query")), full(given.tensor("k", "key"))
    if given.is_set("use_qk_l2norm_in_kernel"):
        query, key = normalised(query), normalised(key)
    query, key = spread(query, heads), spread(key, heads)
    strength = _strength(given, key)
    scale = given.number("scale")
    decay = key.new_zeros(batch, time, heads, 1) if log_diagonal is None else full(log_diagonal)
    largest = decay.amax(-1, keepdim=True)
    largest = torch.where(largest.isfinite(), largest, torch.zeros_like(largest))
    return KernelCall(
        decay,
        key * strength,
        value,
        query * (query.shape[-1] ** -0.5 if scale is None else scale),
        (-strength * key).unsqueeze(-1),
        ((decay - largest).exp() * key).unsqueeze(-1),
        given.start("initial_state"),
        given.begins(batch, time),
    )


def _strength(given: Given, key: Tensor) -> Tensor:
    """beta_t of each head, (batch, time, head, 1); 1 where none is given.

    Raises:
        GradscopeError: for one of each value column, with which every column has an A_t of its own.
    """
    beta = given.find("beta")
    if beta is None:
        return torch.ones_like(key[..., :1])
    beta = full(beta).unsqueeze(-1) if beta.dim() == 3 else full(beta)
    if beta.shape[-1] != 1 and bool((beta != beta[..., :1]).any()):
        raise GradscopeError(
            "beta differs between the columns of the value axis, so that the transitions differ "
            "too; gradscope reads those that are the same for all columns of a head"
        )
    beta = beta[..., :1]
    if given.is_set("use_beta_sigmoid_in_kernel"):
        beta = beta.sigmoid() * (2 if given.is_set("allow_neg_eigval") else 1)
    return beta


def _decay(given: Given, gate: Tensor) -> Tensor:
    """ln a_t of each head, or of each key: as given, or from a gate's preactivation.

    -e^A softplus(g + b), or l sigmoid(e^A (g + b)) with a lower bound l.
    """
    gate = full(gate)
    if not given.is_set("use_gate_in_kernel"):
        return gate
    if (bias := given.find("dt_bias")) is not None:
        gate = gate + full(bias).reshape(gate.shape[2:])
    rate = given.find("A_log")
    by = 1.0 if rate is None else full(rate).exp().reshape(-1, *[1] * (gate.dim() - 3))
    bound = given.number("lower_bound")
    return -by * F.softplus(gate) if bound is None else bound * torch.sigmoid(by * gate)


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
        given.refuse("gv")
        by_key = given.find("gk")
        if by_key is None or given.find("g") is not None:
            decay = _decay(given, given.tensor("g")).unsqueeze(-1)
            return _read_delta(given, decay if by_key is None else decay + full(by_key))
        return _read_delta(given, by_key)


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
        return _read_delta(given, _decay(given, given.tensor("g")))


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
        given.refuse("reverse")
        scale = given.number("scale")
        largest = decay.amax(-1, keepdim=True)
        return KernelCall(
            decay,
            key,
            full(given.tensor("v")),
            query * (query.shape[-1] ** -0.5 if scale is None else scale),
            full(left).unsqueeze(-1),
            (full(right) * (-largest).exp()).unsqueeze(-1),
            given.start("initial_state"),
            given.begins(*key.shape[:2]),
        )
