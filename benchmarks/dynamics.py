"""Gradient dynamics against other ways to get the same numbers: autograd, torch.func, JAX, a plain
loop, and arithmetic alone.

    python -m benchmarks.dynamics [--only pairs big lyapunov lags product large] [--large]

One thread, on one processor. Ours and a competitor are timed in turn, A B A B ..., and the ratio is
the median of the pairs' ratios: below 1 where ours is faster. Before that both are compared on a
small case. A competitor that would take too long is timed on a few steps and extrapolated (marked
~, with the rule; jacrev's square reaches so far that it tells the order only). The bound is the
multiplications and additions that the needed matrix products take, at the best rate that torch
reaches here for products of that size; XLA's own may be higher. JAX is no dependency: its rows need
it installed.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)
if hasattr(
    os, "sched_setaffinity"
):  # XLA starts threads of its own whatever the flags say: one processor makes it one thread
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import argparse

import torch

from benchmarks.dynamics_lags import lags
from benchmarks.dynamics_large import child, large
from benchmarks.dynamics_lyapunov import lyapunov
from benchmarks.dynamics_pairs import pairs
from benchmarks.dynamics_product import plain_product
from benchmarks.dynamics_shared import CELLS, head
from benchmarks.referee import jax
from benchmarks.timing import machine

SECTIONS = ("pairs", "big", "lyapunov", "lags", "product")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=[*SECTIONS, "large"], default=list(SECTIONS))
    parser.add_argument(
        "--large", action="store_true", help="top_singular_values at 4096 units as well; minutes"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", nargs=2, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if jax is not None:
        jax.config.update("jax_enable_x64", True)
    if options.child:
        child(*options.child)
        return
    print(
        machine()
        + (
            f", jax {jax.__version__}"
            if jax is not None
            else "; JAX is not installed: its rows are left out"
        )
    )
    if set(options.only) - {"product", "large"}:
        head()
    for section, sizes in (("pairs", (128, 8, 64)), ("big", (512, 4, 128))):
        if section in options.only:
            for name in CELLS:
                part = 128 if section == "big" and name == "lstm" else None
                pairs(name, *sizes, "frobenius", options.repeats if section == "pairs" else 1, part)
                if section == "pairs":
                    pairs(name, *sizes, "spectral", options.repeats if name == "rnn" else 1)
    if "lyapunov" in options.only:
        lyapunov(2000, 256, options.repeats)
    if "lags" in options.only:
        lags(200, 16, 128, options.repeats)
    if "product" in options.only:
        plain_product(128, 128, 256)
    if options.large or "large" in options.only:
        large(1000, 4096)


if __name__ == "__main__":
    main()
