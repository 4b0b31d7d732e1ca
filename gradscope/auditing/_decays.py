"""Recurrences that forget by a decay of their own: Mamba, DeltaNet, KDA, RWKV, xLSTM, RG-LRU."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscope.auditing._reader import Read, Reader, parameter


class Steps(Reader):
    """ln a = -A softplus(dt_bias): Mamba-2, Gated DeltaNet and KDA, with A = e^A_log of a head."""

    def knows(self, module: nn.Module) -> bool:
        """By its two weights."""
        names = ("A_log", "dt_bias")
        decay, bias = (parameter(module, name) for name in names)
        return decay is not None and bias is not None and bias.numel() % decay.numel() == 0

    def read(self, module: nn.Module) -> list[Read]:
        """By head, the slowest of its keys."""
        decay, bias = _both(module, "A_log", "dt_bias")
        step = F.softplus(bias.flatten())
        rates = decay.flatten().exp()[:, None] * step.unflatten(0, (decay.numel(), -1))
        facts = {"step_least": float(step.min()), "step_greatest": float(step.max())}
        return [Read("", rates.amin(-1), facts)]


class SelectiveSteps(Reader):
    """ln a = -A softplus(dt_proj.bias): Mamba-1, with A of each key of a channel."""

    def knows(self, module: nn.Module) -> bool:
        """By its two weights."""
        decay, bias = parameter(module, "A_log"), parameter(module, "dt_proj.bias")
        return decay is not None and bias is not None and decay.dim() == 2

    def read(self, module: nn.Module) -> list[Read]:
        """By channel, the slowest of its keys."""
        decay, bias = _both(module, "A_log", "dt_proj.bias")
        step = F.softplus(bias)
        facts = {"step_least": float(step.min()), "step_greatest": float(step.max())}
        return [Read("", step * decay.exp().amin(-1), facts, "channel")]


class RgLru(Reader):
    """ln a = -8 sigmoid(recurrent_gate_bias) softplus(recurrent_param): RecurrentGemma."""

    def knows(self, module: nn.Module) -> bool:
        """By its two weights."""
        names = ("recurrent_param", "recurrent_gate_bias")
        return all(parameter(module, name) is not None for name in names)

    def read(self, module: nn.Module) -> list[Read]:
        """By channel."""
        strength, bias = _both(module, "recurrent_param", "recurrent_gate_bias")
        rates = 8 * bias.flatten().sigmoid() * F.softplus(strength)
        return [Read("", rates, {}, "channel")]


class ForgetBias(Reader):
    """ln a = ln sigmoid(b) of a forget gate's bias b: mLSTM, and GLA over its normaliser.

    A soft cap C (of transformers' xLSTM) makes C tanh(b / C) of b.
    """

    #: where the bias stands; in the last place the input gate's stands before it
    names: ClassVar[tuple[str, ...]] = (
        "fgate.bias",
        "fgate_preact.bias",
        "gk_proj.-1.bias",
        "ifgate_preact.bias",
    )

    def knows(self, module: nn.Module) -> bool:
        """By the bias."""
        return any(parameter(module, name) is not None for name in self.names)

    def read(self, module: nn.Module) -> list[Read]:
        """By head; of a gate with a bias for each key the slowest."""
        found = {name: parameter(module, name) for name in self.names}
        name, bias = next((name, part) for name, part in found.items() if part is not None)
        bias = bias[len(bias) // 2 :] if name == self.names[-1] else bias
        cap = getattr(getattr(module, "config", None), "gate_soft_cap", None)
        if cap and name.endswith("gate_preact.bias"):
            bias = cap * (bias / cap).tanh()
        heads = getattr(module, "num_heads", len(bias))
        normaliser = float(getattr(module, "gate_logit_normalizer", 1))
        rates = F.softplus(-bias) / normaliser
        if isinstance(heads, int) and heads and len(bias) % heads == 0:
            rates = rates.unflatten(0, (heads, -1)).amin(-1)
        return [Read("", rates, {"forget_gate": float(bias.sigmoid().mean())})]


class ScalarMemory(Reader):
    """ln a = ln sigmoid(b) of the forget gate's bias b of each unit: xLSTM's sLSTM.

    Its bias is (head, gate, unit) whatever its layout within the module, gates in the order i, f,
    z, o. What the input gate adds is not in it: n_t grows with all that is written, and c_t / n_t
    forgets sooner where that is more.
    """

    def knows(self, module: nn.Module) -> bool:
        """By its bias and what gives it its axes."""
        names = ("_recurrent_kernel", "_bias", "_bias_int2ext")
        return all(hasattr(module, name) for name in names)

    def read(self, module: nn.Module) -> list[Read]:
        """By unit, head after head."""
        given = getattr(module, "_bias_int2ext")(parameter(module, "_bias"))  # noqa: B009
        forget, write = given[:, 1].flatten(), given[:, 0]
        facts = {
            "forget_gate": float(forget.sigmoid().mean()),
            "input_gate_bias": float(write.mean()),
        }
        return [Read("", F.softplus(-forget), facts, "unit")]


class TimeDecay(Reader):
    """ln a = -e^time_decay: RWKV-4, and RWKV-6 at the bias of what makes its decay."""

    names: ClassVar[tuple[str, ...]] = ("time_decay", "w_proj.lora.-1.bias")

    def knows(self, module: nn.Module) -> bool:
        """By the decay."""
        return any(parameter(module, name) is not None for name in self.names)

    def read(self, module: nn.Module) -> list[Read]:
        """By channel."""
        found = (parameter(module, name) for name in self.names)
        decay = next(part for part in found if part is not None)
        return [Read("", decay.flatten().exp(), {}, "channel")]


class Rwkv7(Reader):
    """ln w = -e^-0.5 sigmoid(b) at the bias of what makes its decay: RWKV-7."""

    def knows(self, module: nn.Module) -> bool:
        """By the bias."""
        return parameter(module, "w_lora.lora.-1.bias") is not None

    def read(self, module: nn.Module) -> list[Read]:
        """By channel."""
        bias = parameter(module, "w_lora.lora.-1.bias")
        assert bias is not None
        return [Read("", bias.sigmoid() * math.exp(-0.5), {}, "channel")]


class Slopes(Reader):
    """ln a = -slope, for good: Lightning attention; RetNet's 1 - 2^(-5 - i)."""

    def knows(self, module: nn.Module) -> bool:
        """By the slopes, or by RetNet's class."""
        return parameter(module, "slope_rate") is not None or self._is_retention(module)

    def _is_retention(self, module: nn.Module) -> bool:
        known = type(module).__name__ == "MultiScaleRetention"
        return known and isinstance(getattr(module, "num_heads", None), int)

    def read(self, module: nn.Module) -> list[Read]:
        """By head."""
        slopes = parameter(module, "slope_rate")
        if slopes is None:
            heads = getattr(module, "num_heads", 1)
            slopes = -torch.log1p(-(2.0 ** (-5 - torch.arange(heads, dtype=torch.float64))))
        return [Read("", slopes.flatten(), {})]


def _both(module: nn.Module, first: str, second: str) -> tuple[Tensor, Tensor]:
    one, other = parameter(module, first), parameter(module, second)
    assert one is not None
    assert other is not None
    return one, other


READERS: tuple[Reader, ...] = (
    Steps(),
    SelectiveSteps(),
    RgLru(),
    ForgetBias(),
    ScalarMemory(),
    TimeDecay(),
    Rwkv7(),
    Slopes(),
)
