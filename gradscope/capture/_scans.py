"""Linear recurrences whose decay comes from the input: s_t = d_t s_{t-1} + u_t, unit by unit
(Mamba, RWKV, the mLSTM of xLSTM).

One small adapter for each, told by the class's name, so that nothing is imported: from what a
module reads it makes the decays d_t, the drives u_t, and the function from states to the module's
output. What arrives at the output, sent back through that function, is the immediate gradient
dl_t/ds_t. The gradient of d_t and u_t with respect to the module's weights is not a part of the
recurrence and is left out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from gradscope.capture._watch import Harvest, Received, Watch, bare_copy, copied, hook, versions
from gradscope.cells import Cell
from gradscope.dynamics import Adjoints
from gradscope.dynamics.linearisation import Linearisation
from gradscope.dynamics.trace import Trace
from gradscope.errors import GradscopeError


class DiagonalScan(Cell):
    """s_t = d_t s_{t-1} + u_t, unit by unit; the input is [d_t, u_t]. J_t = diag(d_t)."""

    def __init__(self, size: int):
        super().__init__(2 * size, size)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """It has none."""

    def forward(
        self, x: Float[Tensor, "*batch input"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """One step."""
        decay, drive = x.chunk(2, dim=-1)
        return decay * s + drive

    def jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state state"]:
        """diag(d_t)."""
        return torch.diag_embed(x[..., : self.hidden_size])

    def linearise(
        self,
        x: Float[Tensor, "time batch input"],
        s_prev: Float[Tensor, "time batch state"],
        s: Float[Tensor, "time batch state"],
    ) -> Linearisation:
        """In closed form."""
        return DiagonalLinearisation(x, s_prev)


class DiagonalLinearisation(Linearisation):
    """ds_t = d_t ds_{t-1} + s_{t-1} dd_t + du_t."""

    def __init__(
        self, x: Float[Tensor, "time batch input"], s_prev: Float[Tensor, "time batch state"]
    ):
        self.x, self.s_prev = x, s_prev
        self.decay = x.chunk(2, dim=-1)[0]

    def vjp(self, cotangent: Float[Tensor, "time batch state"]) -> tuple[Tensor, Tensor]:
        """(d a, [s_{t-1} a, a])."""
        return self.decay * cotangent, torch.cat((self.s_prev * cotangent, cotangent), dim=-1)

    def jvp(
        self,
        tangent: Float[Tensor, "time batch state"],
        by_input: Float[Tensor, "time batch input"] | None = None,
    ) -> Float[Tensor, "time batch state"]:
        """d v, and what moves the input."""
        moved = self.decay * tangent
        if by_input is not None:
            by_decay, by_drive = by_input.chunk(2, dim=-1)
            moved = moved + self.s_prev * by_decay + by_drive
        return moved

    def by_parameters(
        self, cotangent: Float[Tensor, "time batch state"], names: Collection[str] | None = None
    ) -> dict[str, Tensor]:
        """It has none."""
        return {}

    def at(self, steps: slice) -> DiagonalLinearisation:
        """Of these steps."""
        return DiagonalLinearisation(self.x[steps], self.s_prev[steps])


class Adapter(ABC):
    """A kind of module whose recurrence is such a scan. Tensors are batch-first, as these modules
    have them.
    """

    #: names of the classes that it knows
    classes: ClassVar[tuple[str, ...]]
    #: attributes that such a class must have, so that a namesake is not taken for it
    attributes: ClassVar[tuple[str, ...]]

    def __init__(self, module: Any):
        self.module = module

    @classmethod
    def knows(cls, module: nn.Module) -> bool:
        """Whether a module is of this kind."""
        return type(module).__name__ in cls.classes and all(
            hasattr(module, name) for name in cls.attributes
        )

    def read(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Tensor] | None:
        """The tensors that the module reads, of a call over a whole sequence without a cache; None
        for any other call.
        """
        values = [*args, *kwargs.values()]
        single = not isinstance(values[0], Tensor) or values[0].dim() != 3
        cached = any(
            v is not None
            for v in (
                *args[1:],
                *(kwargs.get(key) for key in ("cache_params", "state", "past_key_values")),
            )
        )
        return None if single or cached else {"x": values[0]}

    @abstractmethod
    def scan(self, read: dict[str, Tensor]) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """(decays, drives, what the output needs besides the states); the first two ``(batch, time,
        state)``.
        """

    @abstractmethod
    def output(
        self, states: Float[Tensor, "batch time+1 state"], needs: dict[str, Tensor]
    ) -> Tensor:
        """The module's output from s_0 ... s_T."""


class Mamba(Adapter):
    """h_t = exp(Delta_t A) h_{t-1} + Delta_t B_t x_t, y_t = C_t h_t + D x_t: the selective state
    space.

    Reference: Gu and Dao (2023), Mamba: linear-time sequence modeling with selective state spaces.
    """

    classes = ("MambaMixer",)
    attributes = ("A_log", "D", "in_proj", "conv1d", "x_proj", "dt_proj", "out_proj", "act")

    def scan(self, read: dict[str, Tensor]) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """As the module's own slow way, all steps at once."""
        m, time = self.module, read["x"].shape[1]
        x, gate = m.in_proj(read["x"]).chunk(2, dim=-1)
        x = m.act(m.conv1d(x.transpose(1, 2))[..., :time]).transpose(1, 2)
        sizes = [m.dt_proj.in_features, *[(m.x_proj.out_features - m.dt_proj.in_features) // 2] * 2]
        step, b, c = m.x_proj(x).split(sizes, dim=-1)
        delta = F.softplus(m.dt_proj(step)).unsqueeze(-1)
        decay = torch.exp(-torch.exp(_full(m.A_log)) * delta)
        drive = delta * b.unsqueeze(-2) * x.unsqueeze(-1)
        return decay.flatten(2), drive.flatten(2), {"x": x, "gate": gate, "c": c}

    def output(
        self, states: Float[Tensor, "batch time+1 state"], needs: dict[str, Tensor]
    ) -> Tensor:
        """C h + D x, gated and projected."""
        m, x = self.module, needs["x"]
        y = (states[:, 1:].unflatten(-1, (x.shape[-1], -1)) * needs["c"].unsqueeze(-2)).sum(
            -1
        ) + m.D * x
        return m.out_proj(y * m.act(needs["gate"]))


class RWKV(Adapter):
    """a_t = e^-w a_{t-1} + e^k_t v_t and b_t = e^-w b_{t-1} + e^k_t: the numerator and denominator
    of the WKV mean.

    Both are kept over e^(max_t k_t) of their channel, which no output feels.

    Reference: Peng et al. (2023), RWKV: reinventing RNNs for the transformer era.
    """

    classes = ("RwkvSelfAttention",)
    attributes = ("time_decay", "time_first", "extract_key_value", "output")

    def scan(self, read: dict[str, Tensor]) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """From the module's own receptance, key and value."""
        m = self.module
        receptance, key, value, _ = m.extract_key_value(read["x"])
        weight = torch.exp(key - key.amax(1, keepdim=True))
        decay = torch.exp(-torch.exp(m.time_decay)).expand_as(key)
        drive = torch.cat((weight * value, weight), dim=-1)
        return (
            torch.cat((decay, decay), dim=-1),
            drive,
            {"r": receptance, "v": value, "now": torch.exp(m.time_first) * weight},
        )

    def output(
        self, states: Float[Tensor, "batch time+1 state"], needs: dict[str, Tensor]
    ) -> Tensor:
        """r (a_{t-1} + e^(u + k_t) v_t) / (b_{t-1} + e^(u + k_t)), projected."""
        above, below = states[:, :-1].chunk(2, dim=-1)
        now = needs["now"]
        return self.module.output(needs["r"] * (above + now * needs["v"]) / (below + now))


class MLSTM(Adapter):
    """C_t = f_t C_{t-1} + i_t k_t v_t^T and n_t = f_t n_{t-1} + i_t k_t, f and i scalars of a head:
    xLSTM's matrix memory.

    Reference: Beck et al. (2024), xLSTM: extended long short-term memory.
    """

    classes = ("xLSTMBackend", "mLSTMBackend")
    attributes = ("config",)

    def read(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Tensor] | None:
        """Query, key, value and the gates' preactivations of a whole sequence."""
        names = ("query", "key", "value", "igate", "fgate", "c_initial")
        given = dict(zip(names, args, strict=False)) | kwargs
        if given.get("c_initial") is not None or any(name not in given for name in names[:5]):
            return None
        return {name: given[name] for name in names[:5]}

    def scan(self, read: dict[str, Tensor]) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """C and n of all heads side by side."""
        key, value = _full(read["key"]), _full(read["value"])
        forget, write = torch.sigmoid(_full(read["fgate"])), torch.exp(_full(read["igate"]))
        memory = write[..., None, None] * key.unsqueeze(-1) * value.unsqueeze(-2)
        drive = torch.cat((memory.flatten(-2), write.unsqueeze(-1) * key), dim=-1)
        decay = forget.unsqueeze(-1).expand_as(drive)
        return *((part.transpose(1, 2).flatten(2)) for part in (decay, drive)), dict(read)  # type: ignore[return-value]

    def output(
        self, states: Float[Tensor, "batch time+1 state"], needs: dict[str, Tensor]
    ) -> Tensor:
        """q C / max(|q n|, 1)."""
        _, heads, _, size = needs["query"].shape
        query, width = _full(needs["query"]) * size**-0.5, needs["value"].shape[-1]
        own = states[:, 1:].unflatten(-1, (heads, -1)).transpose(1, 2)
        memory, norm = (
            own[..., : size * width].unflatten(-1, (size, width)),
            own[..., size * width :],
        )
        above = (query.unsqueeze(-1) * memory).sum(-2)
        below = (query * norm).sum(-1, keepdim=True).abs().clamp_min(1.0)
        return above / below


def _full(x: Tensor) -> Tensor:
    """In float32 at least, as these modules keep their states."""
    return x if x.dtype == torch.float64 else x.float()


ADAPTERS: tuple[type[Adapter], ...] = (Mamba, RWKV, MLSTM)


@dataclass
class _Call:
    read: dict[str, Tensor]
    output: Tensor
    received: Received


class ScanWatch(Watch):
    """Of one module with an adapter."""

    def __init__(
        self, name: str, module: nn.Module, adapter: type[Adapter], sequences: int | None = None
    ):
        super().__init__(name, module)
        self.adapter, self.stamp, self.sequences = (
            adapter(bare_copy(module)),
            versions(module),
            sequences,
        )
        self.calls: list[_Call] = []
        self.unread = 0
        self._hooks = ExitStack()

    def install(self, hooks: ExitStack) -> None:
        """What the module reads and gives is kept."""
        self._hooks = hooks
        hook(hooks, self.module, self._after)

    def _after(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        read = self.adapter.read(args, kwargs)
        if read is None:
            self.unread += 1
            return
        if versions(module) != self.stamp:
            raise GradscopeError(
                f"the weights of {self.label()!r} changed within the recorded block: record one"
                " update at a time"
            )
        seen = output[0] if isinstance(output, tuple) else output
        self.calls.append(
            _Call(
                {k: copied(v) for k, v in read.items()}, copied(seen), Received(seen, self._hooks)
            )
        )

    def harvest(self) -> Harvest:
        """A trace for every call over a whole sequence."""
        harvest = Harvest()
        if self.unread:
            harvest.notes.append(
                f"{self.label()}: {self.unread} calls with a cache, a step at a time, were left out"
            )
        for index, call in enumerate(self.calls):
            name = self.label() + (f" ({index + 1})" if len(self.calls) > 1 else "")
            harvest.traces[name], departure = self._trace(call)
            if departure > 1e-3:
                harvest.notes.append(
                    f"{name}: run again in {str(call.output.dtype).removeprefix('torch.')}'s full"
                    f" precision it departs from what it gave by {departure:.1e} of its size; its"
                    " own kernel works in less"
                )
        return harvest

    def _trace(self, call: _Call) -> tuple[Trace, float]:
        with torch.no_grad():
            decay, drive, needs = self.adapter.scan(call.read)
            x = torch.cat((decay, drive), dim=-1).transpose(0, 1).contiguous()
            cell = DiagonalScan(decay.shape[-1])
            states = cell.unroll(x, torch.zeros_like(drive[:, 0]))
        with torch.enable_grad():
            own = states.transpose(0, 1).detach().requires_grad_()
            again = self.adapter.output(own, needs)
        size = float(call.output.detach().abs().max().clamp_min(1e-12))
        departure = float((again.detach() - call.output).abs().max()) / size
        if not departure < 0.05:
            raise GradscopeError(
                f"{self.label()!r}, run again, departs from what it gave by {departure:.0%} of its"
                f" size: this version of {type(self.module).__name__} computes something else than"
                " gradscope knows of"
            )
        some = slice(self.sequences)
        if call.received.value is None:
            return Trace(cell, x[:, some], states[:, some].requires_grad_()), departure
        (immediate,) = torch.autograd.grad(again, own, call.received.value.to(again.dtype))
        immediate = immediate.transpose(0, 1)[:, some].contiguous()
        scale = torch.zeros(immediate.shape[:2], dtype=torch.float64, device=immediate.device)
        return (
            Trace(
                cell,
                x[:, some],
                states[:, some].requires_grad_(),
                immediate=Adjoints(immediate, scale),
            ),
            departure,
        )
