"""Arguments for every kernel that gradscope knows, under each of its names."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from gradscope.capture._kernel_watch import KERNELS
from tests.capture import kernel_functions as functions
from tests.capture.kernel_functions import BATCH, HEADS, KEY, TIME, VALUE
from tests.capture.scan_modules import WIDTH

Draw = Callable[..., Tensor]


class Case(NamedTuple):
    """A function in the place of a kernel, and its arguments."""

    function: Callable[..., object]
    arguments: dict[str, Tensor | int | bool | None]


def drawing(dtype: torch.dtype, seed: int = 0) -> Draw:
    """Draws tensors that require a gradient."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        drawn = torch.randn(*shape, generator=generator, dtype=torch.float64)
        return drawn.to(dtype).requires_grad_()

    return draw


def _attention(draw: Draw, names: str = "q k v", heads: int = HEADS) -> dict[str, Tensor]:
    sizes = (KEY, KEY, VALUE)
    return {
        name: draw(BATCH, TIME, heads, size)
        for name, size in zip(names.split(), sizes, strict=True)
    }


def _leaf(x: Tensor) -> Tensor:
    return x.detach().requires_grad_()


def case_of(name: str, dtype: torch.dtype = torch.float64) -> Case:
    """The case of a kernel's name."""
    draw = drawing(dtype)
    of_head, of_key = (BATCH, TIME, HEADS), (BATCH, TIME, HEADS, KEY)
    decay = _leaf(-draw(*of_head).abs())
    by_key = _leaf(-draw(*of_key).abs())
    beta = _leaf(draw(*of_head).sigmoid() * 2)
    long = "query key value" if name in _LONG else "q k v"
    if "kda" in name or "kimi" in name:
        function = functions.chunk_kda if "kda" in name else functions.chunk_kimi_delta_attention
        given = _attention(draw, long) | {"g": by_key, "beta": beta}
        return Case(function, given | {"use_qk_l2norm_in_kernel": True})
    if "gated_delta" in name:
        torchs = functions.torch_chunk_gated_delta_rule
        function = torchs if name in _LONG else functions.chunk_gated_delta_rule
        given = _attention(draw, long) | {"g": decay, "beta": beta}
        return Case(function, given | {"use_qk_l2norm_in_kernel": True})
    if "dplr" in name or "rwkv7" in name:
        factors = {part: draw(*of_key) * 0.5 for part in "ab"}
        if "dplr" in name:
            return Case(
                functions.chunk_dplr_delta_rule, _attention(draw) | factors | {"gk": by_key}
            )
        given = _attention(draw, "r k v") | {"w": by_key}
        if "mul" in name:
            factors = {"kk": factors["a"], "a": factors["b"].sigmoid()}
            return Case(functions.fused_mul_recurrent_rwkv7, given | factors)
        return Case(functions.chunk_rwkv7, given | factors)
    if "delta_rule" in name:
        return Case(functions.chunk_delta_rule, _attention(draw) | {"beta": beta})
    return _diagonal(name, draw, decay, by_key)


_LONG = {
    "torch_chunk_gated_delta_rule",
    "torch_recurrent_gated_delta_rule",
    "chunk_kimi_delta_attention",
    "recurrent_kimi_delta_attention",
}


def _diagonal(name: str, draw: Draw, decay: Tensor, by_key: Tensor) -> Case:
    if "rwkv6" in name:
        given = _attention(draw, "r k v") | {"w": by_key, "u": draw(HEADS, KEY)}
        return Case(functions.chunk_rwkv6, given)
    if "simple_gla" in name:
        return Case(functions.chunk_simple_gla, _attention(draw) | {"g": decay})
    if "gla" in name:
        recurrent = name == "fused_recurrent_gla"
        function = functions.fused_recurrent_gla if recurrent else functions.chunk_gla
        return Case(function, _attention(draw) | {"gk" if recurrent else "g": by_key})
    if "retention" in name:
        return Case(functions.chunk_retention, _attention(draw))
    if "linear_attn" in name:
        return Case(functions.chunk_linear_attn, _attention(draw) | {"normalize": False})
    if name == "parallel_stabilized_simple":
        given = {
            part: _leaf(x.transpose(1, 2))
            for part, x in _attention(draw, "queries keys values").items()
        }
        gates = {part: draw(BATCH, HEADS, TIME, 1) for part in ("igate_preact", "fgate_preact")}
        return Case(functions.parallel_stabilized_simple, given | gates)
    if name == "heinsen_associative_scan_log":
        log_coeffs, log_values = _leaf(-draw(BATCH, TIME, WIDTH).exp()), draw(BATCH, TIME, WIDTH)
        given = {"log_coeffs": log_coeffs, "log_values": log_values}
        return Case(functions.heinsen_associative_scan_log, given)
    if name == "_rnn_scan":
        gate = _leaf(draw(BATCH, TIME, WIDTH).sigmoid())
        reset = torch.zeros(BATCH, TIME, 1, dtype=torch.bool)
        reset[:, 3] = True
        given = {"hidden_states": draw(BATCH, TIME, WIDTH), "recurrent_gate": gate}
        return Case(functions._rnn_scan, given | {"reset": reset, "recurrent_states": None})
    if "selective" in name:
        given = {part: draw(BATCH, WIDTH, TIME) for part in ("u", "delta", "z")}
        given |= {part: draw(BATCH, KEY, TIME) for part in "BC"}
        given |= {"A": _leaf(-draw(WIDTH, KEY).exp()), "D": draw(WIDTH), "delta_bias": draw(WIDTH)}
        return Case(functions.selective_scan_fn, given | {"delta_softplus": True})
    given = {part: draw(BATCH, TIME, 2 * HEADS, VALUE) for part in "xz"}
    given |= {part: draw(BATCH, TIME, HEADS, KEY) for part in "BC"}
    given |= {"dt": draw(BATCH, TIME, 2 * HEADS), "A": _leaf(-draw(2 * HEADS).exp())}
    given |= {part: draw(2 * HEADS) for part in ("D", "dt_bias")}
    return Case(functions.mamba_chunk_scan_combined, given | {"chunk_size": 4, "dt_softplus": True})


NAMES = sorted({name for kernel in KERNELS for name in kernel.names})
