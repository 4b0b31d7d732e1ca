"""Timing two functions against each other."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Callable
from time import perf_counter

import torch


def compare(
    a: Callable[[], object], b: Callable[[], object], repeats: int, device: str = "cpu"
) -> dict[str, float]:
    """Medians of a and b in milliseconds, called in turn, and the median of a / b over the pairs;
    three rounds warm up.
    """
    times: list[tuple[float, float]] = []
    for round_ in range(repeats + 3):
        pair = (once(a, device), once(b, device))
        if round_ >= 3:
            times.append(pair)
    return {
        "a_ms": 1e3 * statistics.median(t for t, _ in times),
        "b_ms": 1e3 * statistics.median(t for _, t in times),
        "ratio": statistics.median(x / y for x, y in times),
    }


def once(function: Callable[[], object], device: str = "cpu") -> float:
    """Seconds of one call."""
    _wait(device)
    started = perf_counter()
    function()
    _wait(device)
    return perf_counter() - started


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def machine(device: str = "cpu") -> str:
    """The machine in a line."""
    name = (
        torch.cuda.get_device_name()
        if device.startswith("cuda")
        else platform.processor() or platform.machine()
    )
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            name = (
                name
                if device != "cpu"
                else next(x.split(":")[1].strip() for x in lines if x.startswith("model name"))
            )
    except (OSError, StopIteration):
        pass
    return (
        f"{name}, {torch.get_num_threads()} thread, torch {torch.__version__}, Python"
        f" {platform.python_version()}"
    )
