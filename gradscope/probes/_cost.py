"""What the unit of a probe's work, a QR decomposition, takes on this machine."""

from __future__ import annotations

import time
from functools import cache

import torch

from gradscope.dynamics.trace import Trace

#: size of the largest matrix that is tried
_LARGE = 2048


def decomposition_seconds(trace: Trace) -> float:
    """Seconds of a QR decomposition of a (state, state) matrix, on the trace's device."""
    return _seconds(trace.states.shape[-1], trace.states.device)


@cache
def _seconds(size: int, device: torch.device) -> float:
    """The shorter of two; the first one may have to load a library.

    Of a large matrix what a smaller one says, by the cube of its size.
    """
    if size > _LARGE:
        return _seconds(_LARGE, device) * (size / _LARGE) ** 3
    matrix = torch.eye(size, dtype=torch.float64, device=device)
    taken = []
    for _ in range(2):
        start = time.monotonic()
        float(torch.linalg.qr(matrix)[1][-1, -1])  # waits for a device
        taken.append(time.monotonic() - start)
    return min(taken)
