"""Modules whose recurrence is a diagonal scan: Mamba, RWKV and the mLSTM of xLSTM.

One small adapter for each, told by the class's name, so that nothing is imported. From what a
module reads it makes the decays d_t, the drives u_t, and the function from states to the module's
output. The gradient of d_t and u_t with respect to the module's weights is not a part of the
recurrence and is left out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gradscope.capture._watch import Args, Kwargs


class Scanned(NamedTuple):
    """s_t = d_t s_{t-1} + u_t of a whole call.

    Attributes:
        decay: d_t.
        drive: u_t.
        needs: what the module's output needs besides the states, by name.
    """

    decay: Float[Tensor, "batch time state"]
    drive: Float[Tensor, "batch time state"]
    needs: dict[str, Tensor]


class Adapter(ABC):
    """A kind of module whose recurrence is such a scan.

    Tensors are batch-first, as these modules have them.

    Args:
        module: of a package that is not imported here.
    """

    #: names of the classes that it knows
    classes: ClassVar[tuple[str, ...]]
    #: attributes that such a class must have, so that a namesake is not taken for it
    attributes: ClassVar[tuple[str, ...]]

    def __init__(self, module: nn.Module):
        self.module: Any = module

    @classmethod
    def knows(cls, module: nn.Module) -> bool:
        """Whether a module is of this kind."""
        known = type(module).__name__ in cls.classes
        return known and all(hasattr(module, name) for name in cls.attributes)

    def read(self, args: Args, kwargs: Kwargs) -> dict[str, Tensor] | None:
        """The tensors that the module reads, by name.

        Of a call over a whole sequence without a cache; None for any other call.
        """
        x = next(iter([*args, *kwargs.values()]), None)
        cache = [kwargs.get(key) for key in ("cache_params", "state", "past_key_values")]
        if not isinstance(x, Tensor) or x.dim() != 3:
            return None
        return {"x": x} if all(value is None for value in (*args[1:], *cache)) else None

    @abstractmethod
    def scan(self, read: dict[str, Tensor]) -> Scanned:
        """The recurrence of a call."""

    @abstractmethod
    def output(
        self, states: Float[Tensor, "batch times state"], needs: dict[str, Tensor]
    ) -> Tensor:
        """The module's output from s_0 ... s_T."""


class Mamba(Adapter):
    """The selective state space: h_t = exp(Delta_t A) h_{t-1} + Delta_t B_t x_t.

    The output is y_t = C_t h_t + D x_t.

    Reference: Gu and Dao (2023), Mamba: linear-time sequence modeling with selective state spaces.
    """

    # of transformers, and of mambapy
    classes = ("MambaMixer", "MambaBlock")
    attributes = ("A_log", "D", "in_proj", "conv1d", "x_proj", "dt_proj", "out_proj")

    def __init__(self, module: nn.Module):
        super().__init__(module)
        self.act = getattr(module, "act", F.silu)

    def scan(self, read: dict[str, Tensor]) -> Scanned:
        """Decays and drives of all steps at once, as the module's own slow way makes them."""
        m, time = self.module, read["x"].shape[1]
        x, gate = m.in_proj(read["x"]).chunk(2, dim=-1)
        x = self.act(m.conv1d(x.transpose(1, 2))[..., :time]).transpose(1, 2)
        sizes = [m.dt_proj.in_features, *[(m.x_proj.out_features - m.dt_proj.in_features) // 2] * 2]
        step, b, c = m.x_proj(x).split(sizes, dim=-1)
        if hasattr(m, "_apply_layernorms"):
            step, b, c = m._apply_layernorms(step, b, c)
        delta = F.softplus(m.dt_proj(step)).unsqueeze(-1)
        decay = torch.exp(-torch.exp(_full(m.A_log)) * delta)
        drive = delta * b.unsqueeze(-2) * x.unsqueeze(-1)
        return Scanned(decay.flatten(2), drive.flatten(2), {"x": x, "gate": gate, "c": c})

    def output(
        self, states: Float[Tensor, "batch times state"], needs: dict[str, Tensor]
    ) -> Tensor:
        """C h + D x, gated and projected."""
        m, x = self.module, needs["x"]
        h = states[:, 1:].unflatten(-1, (x.shape[-1], -1))
        y = (h * needs["c"].unsqueeze(-2)).sum(-1) + m.D * x
        return m.out_proj(y * self.act(needs["gate"]))


class RWKV(Adapter):
    """The WKV mean, by its numerator a_t and its denominator b_t.

    a_t = e^-w a_{t-1} + e^k_t v_t and b_t = e^-w b_{t-1} + e^k_t. Both are kept over e^(max_t k_t)
    of their channel, which no output feels.

    Reference: Peng et al. (2023), RWKV: reinventing RNNs for the transformer era.
    """

    classes = ("RwkvSelfAttention",)
    attributes = ("time_decay", "time_first", "extract_key_value", "output")

    def scan(self, read: dict[str, Tensor]) -> Scanned:
        """Decays and drives from the module's own receptance, key and value."""
        m = self.module
        receptance, key, value, _ = m.extract_key_value(read["x"])
        weight = torch.exp(key - key.amax(1, keepdim=True))
        decay = torch.exp(-torch.exp(m.time_decay)).expand_as(key)
        drive = torch.cat((weight * value, weight), dim=-1)
        needs = {"r": receptance, "v": value, "now": torch.exp(m.time_first) * weight}
        return Scanned(torch.cat((decay, decay), dim=-1), drive, needs)

    def output(
        self, states: Float[Tensor, "batch times state"], needs: dict[str, Tensor]
    ) -> Tensor:
        """r (a_{t-1} + e^(u + k_t) v_t) / (b_{t-1} + e^(u + k_t)), projected."""
        above, below = states[:, :-1].chunk(2, dim=-1)
        now = needs["now"]
        return self.module.output(needs["r"] * (above + now * needs["v"]) / (below + now))


class MLSTM(Adapter):
    """xLSTM's matrix memory: C_t = f_t C_{t-1} + i_t k_t v_t^T and n_t = f_t n_{t-1} + i_t k_t.

    f and i are scalars of a head.

    Reference: Beck et al. (2024), xLSTM: extended long short-term memory.
    """

    classes = ("xLSTMBackend", "mLSTMBackend")
    attributes = ("config",)

    def read(self, args: Args, kwargs: Kwargs) -> dict[str, Tensor] | None:
        """Query, key, value and the gates' preactivations of a whole sequence."""
        names = ("query", "key", "value", "igate", "fgate", "c_initial")
        given = dict(zip(names, args, strict=False)) | kwargs
        read = {name: value for name in names[:5] if isinstance(value := given.get(name), Tensor)}
        return read if len(read) == 5 and given.get("c_initial") is None else None

    def scan(self, read: dict[str, Tensor]) -> Scanned:
        """C and n of all heads side by side."""
        key, value = _full(read["key"]), _full(read["value"])
        forget, write = torch.sigmoid(_full(read["fgate"])), torch.exp(_full(read["igate"]))
        memory = write[..., None, None] * key.unsqueeze(-1) * value.unsqueeze(-2)
        drive = torch.cat((memory.flatten(-2), write.unsqueeze(-1) * key), dim=-1)
        decay = forget.unsqueeze(-1).expand_as(drive)
        decay, drive = (part.transpose(1, 2).flatten(2) for part in (decay, drive))
        return Scanned(decay, drive, read)

    def output(
        self, states: Float[Tensor, "batch times state"], needs: dict[str, Tensor]
    ) -> Tensor:
        """q C / max(|q n|, 1)."""
        _, heads, _, size = needs["query"].shape
        query, width = _full(needs["query"]) * size**-0.5, needs["value"].shape[-1]
        by_head = states[:, 1:].unflatten(-1, (heads, -1)).transpose(1, 2)
        memory = by_head[..., : size * width].unflatten(-1, (size, width))
        norm = by_head[..., size * width :]
        above = (query.unsqueeze(-1) * memory).sum(-2)
        below = (query * norm).sum(-1, keepdim=True).abs().clamp_min(1.0)
        return above / below


def _full(x: Tensor) -> Tensor:
    """The tensor in float32 at least, as these modules keep their states."""
    return x if x.dtype == torch.float64 else x.float()


ADAPTERS: tuple[type[Adapter], ...] = (Mamba, RWKV, MLSTM)
