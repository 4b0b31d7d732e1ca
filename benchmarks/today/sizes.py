"""Memory horizons by head at the size of a real model: time and memory.

    python -m benchmarks.today.sizes

24 layers of 16 heads, keys and values of 128, a sequence of 4,096 tokens, float32. Of *factors*:
what makes A_t of each layer (decays; keys and strengths) is drawn and its horizons are taken, layer
by layer. *Recorded*: a model of 24 layers whose recurrence is a kernel, from a width of 64 so that
its weights take nothing, is run forward once in a recorded block; its horizons are those of the
probe `heads`. Each case is a process of its own; memory is all that the process ever held, torch
and gradscope included, and beside it what both of them hold before they do anything.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from time import process_time

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import gradscope
from benchmarks.timing import machine
from gradscope.dynamics.heads import head_horizons
from gradscope.probes._norms import lag_grid

LAYERS, HEADS, KEY, VALUE, TIME, WIDTH = 24, 16, 128, 128, 4096, 64
LAGS = lag_grid(TIME, 32)


# --- families -------------------------------------------------------------------------------------


def delta() -> gradscope.Transitions:
    """a_t (I - beta_t k_t k_t^T), with unit keys."""
    key = F.normalize(torch.randn(TIME, 1, HEADS, KEY), dim=-1)
    strength = torch.rand(TIME, 1, HEADS, 1)
    return gradscope.Transitions(
        -0.01 * torch.rand(TIME, 1, HEADS, 1), -(strength * key)[..., None], key[..., None]
    )


def diagonal() -> gradscope.Transitions:
    """diag(a_t), a decay for each key."""
    return gradscope.Transitions.diagonal_of(-0.01 * torch.rand(TIME, 1, HEADS, KEY), KEY)


FAMILIES: dict[str, Callable[[], gradscope.Transitions]] = {
    "a (I - beta k k^T)": delta,
    "diag(a)": diagonal,
}


# --- a model --------------------------------------------------------------------------------------


def chunk_gated_delta_rule(
    q: Tensor, k: Tensor, v: Tensor, g: Tensor, beta: Tensor
) -> tuple[Tensor, None]:
    """The gated delta rule as flash-linear-attention calls it, one token after another."""
    state, read = q.new_zeros(len(q), HEADS, KEY, VALUE), torch.empty_like(v)
    for t in range(q.shape[1]):
        state.mul_(g[:, t].exp()[..., None, None])
        error = v[:, t, :, None] - k[:, t, :, None] @ state
        state.addcmul_(k[:, t, :, :, None], beta[:, t, :, None, None] * error)
        read[:, t] = (q[:, t, :, None] @ state)[:, :, 0] * KEY**-0.5
    return read, None


class Mixer(nn.Module):
    """Queries, keys, values and gates from a narrow stream."""

    def __init__(self) -> None:
        super().__init__()
        self.made = nn.Linear(WIDTH, HEADS * (2 * KEY + VALUE + 2))
        self.back = nn.Linear(HEADS * VALUE, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.made(x).unflatten(-1, (HEADS, -1)).split((KEY, KEY, VALUE, 1, 1), dim=-1)
        q, k, v = (part.clone() for part in parts[:3])
        decay, strength = (part[..., 0] for part in parts[3:])
        q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
        read, _ = chunk_gated_delta_rule(q, k, v, -0.01 * F.softplus(decay), strength.sigmoid())
        return x + self.back(read.flatten(-2))


# --- cases ----------------------------------------------------------------------------------------


def of_factors(family: str) -> list[float]:
    """Horizons of all heads of all layers, one layer after another."""
    found = []
    for _ in range(LAYERS):
        _, horizons = head_horizons(FAMILIES[family](), LAGS)
        found += [horizon.lag for horizon in horizons[0]]
    return found


def recorded() -> list[float]:
    """The same of a recorded model."""
    model = nn.Sequential(*(Mixer() for _ in range(LAYERS)))
    scope = gradscope.attach(model, probes=["heads"])
    with scope.record(), torch.no_grad():
        begun = process_time()
        model(torch.randn(1, TIME, WIDTH))
        print(f"| forward {process_time() - begun:.0f} s, then recorded ", end="", flush=True)
    return scope.measure("heads")["heads"]["horizon"].tolist()


def held() -> float:
    """MiB that the process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@torch.no_grad()
def case(name: str) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    before, begun = held(), process_time()
    found = torch.tensor(recorded() if name == "recorded" else of_factors(name))
    seconds = process_time() - begun
    low, middle, high = found.quantile(torch.tensor([0.0, 0.5, 1.0], dtype=found.dtype)).tolist()
    print(
        f"| {name} | {len(found)} | {low:.0f} / {middle:.0f} / {high:.0f} | {seconds:.0f} s | "
        f"{held():,.0f} MiB | {before:,.0f} MiB |",
        flush=True,
    )


def main() -> None:
    print(machine())
    print(
        "| case | heads | horizon, least / median / longest | processor time | memory | before |\n"
        "| --- | --- | --- | --- | --- | --- |",
        flush=True,
    )
    for name in (*FAMILIES, "recorded"):
        subprocess.run([sys.executable, "-m", "benchmarks.today.sizes", name], check=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        case(sys.argv[1])
    else:
        main()
