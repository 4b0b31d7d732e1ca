"""The top singular values of a large network."""

from __future__ import annotations

import resource
import subprocess
import sys

import torch
from torch import Tensor

import gradscope
from benchmarks.dynamics_shared import tanh_net
from benchmarks.timing import once


def large(time: int, hidden: int) -> None:
    """In a process of its own, so that its peak memory is its own."""
    print(
        f"\ntop_singular_values, {hidden} units, time {time}, float32: the largest of"
        f" J_{{{time}:0}}",
        flush=True,
    )
    small = tanh_net(30, 40, 1.2)
    values = torch.linalg.svdvals(gradscope.jacobian_product(small, 30, 0).matrix())[0, :3].log()
    torch.testing.assert_close(
        gradscope.top_singular_values(small, 30, 0, 3), values, atol=1e-7, rtol=1e-7
    )
    subprocess.run(
        [sys.executable, "-m", "benchmarks.dynamics", "--child", str(time), str(hidden)], check=True
    )
    matrix = torch.randn(hidden, hidden)
    seconds = min(once(lambda: matrix @ matrix) for _ in range(2)) * time
    memory = time * hidden**2 * 4 / 2**30
    print(
        f"forming the product instead: ~{seconds:.0f} s for its {time} products alone (one timed);"
        " the step Jacobians"
    )
    print(
        f"take {memory:.1f} GiB at once, or {3 * hidden**2 * 4 / 2**20:.0f} MiB for J_t, the"
        " product and its result"
    )


def child(time: int, hidden: int) -> None:
    def peak() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10

    imported = peak()
    trace = tanh_net(time, hidden, 1.2, dtype=torch.float32)
    made = peak()
    values: list[Tensor] = []
    seconds = once(lambda: values.append(gradscope.top_singular_values(trace, time, 0)))
    print(f"{seconds:.1f} s, ln of the value {float(values[0][0]):.6f}")
    print(
        f"peak memory {peak():.0f} MiB, of which {imported:.0f} after the imports and {made:.0f}"
        " after the unroll;",
        end=" ",
    )
    print(f"the weights alone are {hidden**2 * 4 / 2**20:.0f} MiB")
