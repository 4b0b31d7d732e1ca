"""Times and amounts of memory in words."""

from __future__ import annotations

import math


def duration(seconds: float) -> str:
    """A time, to two figures or so.

    >>> duration(3.2), duration(200), duration(9000), duration(1e6)
    ('3 s', '3 min', '2.5 h', '12 days')
    """
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:,.0f} days"


def clock(seconds: float) -> str:
    """Minutes and seconds, and hours where there are any.

    >>> clock(80), clock(7280)
    ('1:20', '2:01:20')
    """
    minutes, rest = divmod(math.ceil(seconds - 1e-6), 60)  # a rounding error is no second
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def memory(count: int) -> str:
    """A number of bytes.

    >>> memory(1536 * 2**20), memory(3 * 2**20), memory(4 * 10**18)
    ('1.5 GiB', '3 MiB', '3.5 EiB')
    """
    if count < 2**30:
        return f"{count / 2**20:.0f} MiB"
    for power, unit in enumerate(("GiB", "TiB", "PiB", "EiB"), start=3):
        if count < 1024 ** (power + 1):
            return f"{count / 1024**power:.1f} {unit}"
    return "more than 1,000 EiB"
