"""Modules that hold their recurrence: mLSTM, RG-LRU, minGRU, RWKV-4, Lightning, Mamba-1."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscope.capture._kernel import Given, Kernel, KernelCall, full


class MLstm(Kernel):
    """xLSTM's matrix memory: C_t = f_t C_{t-1} + i_t k_t v_t^T and n_t = f_t n_{t-1} + i_t k_t.

    n_t is one more column of the value axis, in which v is 1; the output is q C / max(|q n|, 1).
    f and i are scalars of a head, and i is kept over its largest value in a sequence.

    Reference: Beck et al. (2024), xLSTM: extended long short-term memory.
    """

    names = ("parallel_stabilized_simple",)
    modules = ("xLSTMBackend", "mLSTMBackend")
    attributes = ("config",)
    about = "a decay of each head and a normaliser (mLSTM)"

    def read(self, given: Given, module: nn.Module) -> KernelCall | None:
        """Query, key, value and the gates' preactivations of a whole sequence, head before time."""
        if given.find("c_initial") is not None:
            return None
        both = (("query", "queries", "q"), ("key", "keys", "k"), ("value", "values", "v"))
        query, key, value = (full(given.tensor(*names)).transpose(1, 2) for names in both)
        write, forget = (_gate(given, name) for name in ("igate", "fgate"))
        largest = write.amax(1, keepdim=True)
        strength = (write - largest).exp()

        def tail(reads: Tensor) -> Tensor:
            above, below = reads[..., :-1], reads[..., -1:].abs()
            return (above / torch.maximum(below, (-largest).exp())).transpose(1, 2)

        return KernelCall(
            F.logsigmoid(forget),
            key * strength,
            torch.cat((value, torch.ones_like(value[..., :1])), dim=-1),
            query * query.shape[-1] ** -0.5,
            tail=tail,
        )


def _gate(given: Given, name: str) -> Tensor:
    """A gate's preactivation as (batch, time, head, 1)."""
    gate = full(given.tensor(name, f"{name}_preact", name[0]))
    gate = gate.unsqueeze(-1) if gate.dim() == 3 else gate
    return gate.transpose(1, 2)


class RgLru(Kernel):
    """RG-LRU: s_t = a_t s_{t-1} + sqrt(1 - a_t^2) i_t x_t, unit by unit.

    A unit is a head of its own, with a key and a value axis of length 1.

    Reference: De et al. (2024), Griffin: mixing gated linear recurrences with local attention for
    efficient language models.
    """

    names = ("_rnn_scan",)
    about = "a decay of each unit (RG-LRU)"

    def read(self, given: Given, module: nn.Module) -> KernelCall | None:
        """What is written, and the decay, which is 0 where a sequence begins."""
        x, decay = full(given.tensor("hidden_states")), full(given.tensor("recurrent_gate"))
        reset, start = given.find("reset"), given.start("recurrent_states")
        if reset is not None:
            anew = reset.expand(decay.shape).clone()
            anew[:, :1] &= start is not None  # a state of zero is not set anew
            decay = decay * ~anew
        one = torch.ones_like(x).unsqueeze(-1)
        start = None if start is None else start[..., None, None]
        return KernelCall(
            decay.log().unsqueeze(-1),
            one,
            x.unsqueeze(-1),
            one,
            start=start,
            tail=lambda reads: reads.squeeze(-1),
        )


class LogScan(Kernel):
    """minGRU and minLSTM: s_t = a_t s_{t-1} + b_t, unit by unit, from ln a_t and ln b_t.

    A unit is a head of its own, with a key and a value axis of length 1.

    Reference: Feng et al. (2024), Were RNNs all we needed?; Heinsen (2023), Efficient
    parallelization of a ubiquitous sequential computation.
    """

    names = ("heinsen_associative_scan_log",)
    about = "a decay of each unit (minGRU, minLSTM)"

    def read(self, given: Given, module: nn.Module) -> KernelCall | None:
        """What is written, and the decay; a state that came is the first that is written."""
        decay, written = (full(given.tensor(name)) for name in ("log_coeffs", "log_values"))
        one = torch.ones_like(decay).unsqueeze(-1)
        return KernelCall(
            decay.unsqueeze(-1),
            one,
            written.exp().unsqueeze(-1),
            one,
            tail=lambda reads: reads.squeeze(-1),
        )


class Rwkv4(Kernel):
    """RWKV-4's mean, by its numerator and its denominator: two columns of one decay.

    a_t = e^-w a_{t-1} + e^k_t v_t and b_t = e^-w b_{t-1} + e^k_t. Both are kept over e^(max_t k_t)
    of their channel, which no output feels. A channel is a head of its own.

    Reference: Peng et al. (2023), RWKV: reinventing RNNs for the transformer era.
    """

    modules = ("RwkvSelfAttention",)
    attributes = ("time_decay", "time_first", "extract_key_value", "output")
    about = "a decay of each channel (RWKV-4)"

    def read(self, given: Given, module: nn.Module) -> KernelCall | None:
        """Decays and drives from the module's own receptance, key and value."""
        x = _whole_sequence(given)
        if x is None:
            return None
        m: Any = module
        receptance, key, value, _ = m.extract_key_value(x)
        weight = torch.exp(key - key.amax(1, keepdim=True))
        now, one = torch.exp(m.time_first) * weight, torch.ones_like(weight).unsqueeze(-1)

        def tail(reads: Tensor) -> Tensor:
            above, below = reads.unbind(-1)
            return m.output(receptance * (above + now * value) / (below + now))

        return KernelCall(
            -torch.exp(m.time_decay).expand_as(key).unsqueeze(-1),
            one,
            torch.stack((weight * value, weight), dim=-1),
            one,
            reads_before=True,
            tail=tail,
        )


class Lightning(Kernel):
    """Lightning attention: S_t = a S_{t-1} + k_t v_t^T, a = e^-slope of the head.

    Reference: Qin et al. (2024), Lightning attention-2; MiniMax (2025), MiniMax-01.
    """

    modules = ("MiniMaxLightningAttention",)
    attributes = ("qkv_proj", "slope_rate", "output_gate", "out_proj", "norm", "act_fn", "head_dim")
    about = "a decay of each head, the same at all steps (Lightning attention)"

    def read(self, given: Given, module: nn.Module) -> KernelCall | None:
        """Query, key and value, as the module makes them."""
        x = _whole_sequence(given)
        if x is None:
            return None
        m: Any = module
        mixed = m.act_fn(m.qkv_proj(x))
        if (mask := given.find("attention_mask")) is not None and mask.dim() == 2:
            mixed = mixed * mask.unsqueeze(-1)
        by_head = mixed.unflatten(-1, (-1, 3 * m.head_dim))
        query, key, value = by_head.split(m.head_dim, dim=-1)
        slope = full(m.slope_rate).reshape(-1, 1)

        def tail(reads: Tensor) -> Tensor:
            return m.out_proj(torch.sigmoid(m.output_gate(x)) * m.norm(reads.flatten(-2).to(x)))

        return KernelCall(-slope.expand(*key.shape[:3], 1), key, value, query, tail=tail)


class Mamba(Kernel):
    """Mamba-1 in modules that write their scan out: h_t = e^(dt_t A) h_{t-1} + dt_t B_t x_t.

    Reference: Gu and Dao (2023), Mamba: linear-time sequence modeling with selective state spaces.
    """

    # of transformers before its kernels had names, and of mambapy
    modules = ("MambaMixer", "MambaBlock")
    attributes = ("A_log", "D", "in_proj", "conv1d", "x_proj", "dt_proj", "out_proj")
    about = "a decay of each key of a channel (selective scan)"

    def read(self, given: Given, module: nn.Module) -> KernelCall | None:
        """Decays and drives of all steps at once, as the module's own slow way makes them."""
        read = _whole_sequence(given)
        if read is None:
            return None
        m: Any = module
        act, time = getattr(m, "act", F.silu), read.shape[1]
        x, gate = m.in_proj(read).chunk(2, dim=-1)
        x = act(m.conv1d(x.transpose(1, 2))[..., :time]).transpose(1, 2)
        sizes = [m.dt_proj.in_features, *[(m.x_proj.out_features - m.dt_proj.in_features) // 2] * 2]
        step, b, c = m.x_proj(x).split(sizes, dim=-1)
        if hasattr(m, "_apply_layernorms"):
            step, b, c = m._apply_layernorms(step, b, c)
        delta = F.softplus(m.dt_proj(step)).unsqueeze(-1)
        shape = (*x.shape, b.shape[-1])
        return KernelCall(
            -torch.exp(full(m.A_log)) * delta,
            b.unsqueeze(-2).expand(shape),
            delta * x.unsqueeze(-1),
            c.unsqueeze(-2).expand(shape),
            tail=lambda reads: m.out_proj((reads.squeeze(-1) + m.D * x) * act(gate)),
        )


def _whole_sequence(given: Given) -> Tensor | None:
    """What a module reads, (batch, time, width); None of a call with a cache or of another kind."""
    names = ("cache", "cache_params", "state", "past_key_values")
    if any(given.values.get(name) is not None for name in names):
        return None
    return given.sequence()
