"""What several checks do with numbers, sequence by sequence."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor


def laplace(shown: Tensor | Sequence[bool]) -> float:
    """(k + 1) / (n + 2) for k of n sequences that show something: Laplace's rule of succession.

    >>> laplace([True, True])
    0.75
    """
    values = shown.flatten().tolist() if isinstance(shown, Tensor) else shown
    return (sum(map(bool, values)) + 1) / (len(values) + 2)


def middle(logs: Float[np.ndarray, "lag batch"]) -> Float[np.ndarray, " lag"]:
    """Median over sequences at each lag, of those that are that long; exact zeros stay -inf."""
    if not logs.shape[1]:
        return np.full(len(logs), np.nan)
    ordered = np.sort(np.where(np.isnan(logs), np.inf, logs), axis=1)
    count = (~np.isnan(logs)).sum(1)
    medians = ordered[np.arange(len(ordered)), np.maximum(count - 1, 0) // 2]
    return np.where(count > 0, medians, np.nan)


def below_for_good(curve: Float[np.ndarray, " lag"], level: float) -> int | None:
    """The first index from which on the curve stays under the level; None if it ends above.

    >>> below_for_good(np.array([0.0, -5.0, 1.0, -5.0, -6.0]), -1.0)
    3
    """
    above = np.flatnonzero(~(curve < level))
    start = int(above[-1]) + 1 if len(above) else 0
    return start if start < len(curve) else None


def in_words(log_factor: float) -> str:
    """e^log_factor in words.

    >>> in_words(math.log(2300))
    'a factor of 2.3e+03'
    """
    if math.isinf(log_factor):
        return "all of it"
    if log_factor < 600:
        return f"a factor of {10 ** (log_factor / math.log(10)):.2g}"
    return f"a factor of e^{log_factor:.0f}"
