"""Exponents of a long state: time and memory of Jacobian-vector products, against the dense way.

    python -m benchmarks.today.exponents

Lorenz 96, dx_i/dt = (x_{i+1} - x_{i-2}) x_{i-1} - x_i + 8, at any number of sites: its largest
exponent per unit of time hardly depends on how many. Each case is a process of its own.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from time import process_time

import torch
from torch import Tensor

import gradscope
from benchmarks.timing import machine
from benchmarks.today.horizon import runge_kutta, settled

#: (sites, exponents, steps that count, dtype)
CASES = (
    (50_000, 1, 100, "float64"),
    (50_000, 3, 100, "float64"),
    (50_000, 3, 100, "float32"),
    (500_000, 3, 5, "float64"),
    (40, 1, 2_000, "float64"),
    (40, 40, 2_000, "float64"),
)
DT = 0.05


def lorenz_96(x: Tensor) -> Tensor:
    return (x.roll(-1, -1) - x.roll(2, -1)) * x.roll(1, -1) - x + 8


def case(sites: int, k: int, steps: int, dtype: str) -> None:
    torch.set_num_threads(1)
    step = runge_kutta(lorenz_96, DT)
    generator = torch.Generator().manual_seed(0)
    start = 8 + torch.randn(1, sites, dtype=torch.float64, generator=generator)
    start = settled(step, start, 400).to(getattr(torch, dtype))
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, process_time()
    found = gradscope.lyapunov_exponents(step, start, steps + 50, k=k, burn_in=50)
    seconds = process_time() - began
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    first, last = found.exponents[0] / DT, found.exponents[-1] / DT
    low, high = (found.intervals[0] / DT).tolist()
    print(
        f"| {sites:,} | {k} | {dtype} | {first:.3f} ({low:.3f} to {high:.3f}) | {last:.3f} | "
        f"{1e3 * seconds / (steps + 50):.1f} ms | {(after - before) / 1024:.0f} MiB | "
        f"{8 * sites**2 / 2**20:,.0f} MiB |",
        flush=True,
    )


def main() -> None:
    print(machine())
    print(
        "| sites | k | dtype | largest exponent per unit of time | last of the k | "
        "processor time a step | memory on top | one Jacobian |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        flush=True,
    )
    for arguments in CASES:
        words = [str(argument) for argument in arguments]
        subprocess.run([sys.executable, "-m", "benchmarks.today.exponents", *words], check=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        case(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    else:
        main()
