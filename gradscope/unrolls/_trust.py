"""How far the sign of a gradient can be trusted, and which truncation follows from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from gradscope.results.statistics import LEVEL, Estimate, share

#: resamples of the starts, for the interval of the trusted horizon
_RESAMPLES = 1000
#: sign agreement down to which a gradient is worth its horizon: half way from chance to certainty
WORTH = 0.75
#: ln of the factor by which a gradient has sunk that adds next to nothing to a nearer one
_FAINT = math.log(100)

_Counts = Float[np.ndarray, "horizon batch"]


@dataclass(frozen=True)
class Truncation:
    """How many steps to backpropagate through, and why.

    Attributes:
        steps: the truncation; None where nothing that was measured asks for one.
        reason: a sentence.
    """

    steps: int | None
    reason: str

    def __str__(self) -> str:
        return f"{'none' if self.steps is None else f'{self.steps:,} steps'}: {self.reason}"


def shares(agreed: _Counts, known: _Counts) -> list[Estimate]:
    """The share of directions whose sign agrees at each horizon, with its exact interval."""
    pairs = zip(agreed.sum(1), known.sum(1), strict=True)
    return [share(round(successes), round(trials)) for successes, trials in pairs]


def trusted(horizons: Sequence[int], agreed: _Counts, known: _Counts) -> Estimate:
    """The last horizon before the first at which the sign agrees no more often than by chance.

    Beyond chance is a share whose 95% interval lies above a half. The interval of the horizon is
    from resampled starts, and reaches at least to the first that is not beyond chance. It is
    censored where the sign still agrees at the last horizon at which it is known.
    """
    some = known.sum(1) > 0
    if not some.any():
        return Estimate(math.nan)
    # beyond the last horizon at which a sign is known nothing is
    last = int(np.flatnonzero(some)[-1])
    places = [float(horizon) for horizon in horizons[: last + 1]]
    agreed, known = agreed[: last + 1], known[: last + 1]
    count = agreed.shape[1]
    whole = int(_until(agreed.sum(1)[None], known.sum(1)[None])[0])
    if count > 1:
        generator = np.random.default_rng(0)
        weights = generator.multinomial(count, np.full(count, 1 / count), size=_RESAMPLES)
        drawn = _until(weights @ agreed.T, weights @ known.T)
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="nearest")
        low, high = min(int(low), whole), max(int(high), whole)
    else:
        low, high = whole, whole
    return Estimate(
        places[max(0, whole - 1)],
        places[max(0, low - 1)],
        math.inf if high == len(places) else places[high],
        count,
        censored=whole == len(places),
    )


def _until(
    agreed: Float[np.ndarray, "draw horizon"], known: Float[np.ndarray, "draw horizon"]
) -> NDArray[np.int_]:
    """How many horizons come before the first that is not beyond chance."""
    lost = ~_beyond_chance(agreed, known)
    return np.where(lost.any(1), lost.argmax(1), lost.shape[1])


def _beyond_chance(
    agreed: Float[np.ndarray, "draw horizon"], known: Float[np.ndarray, "draw horizon"]
) -> Bool[np.ndarray, "draw horizon"]:
    """Whether a share lies above a half; one of nothing is taken to, as nothing speaks against."""
    pairs = zip(agreed.ravel(), known.ravel(), strict=True)
    beyond = [n == 0 or share(round(k), round(n)).low > 0.5 for k, n in pairs]
    return np.array(beyond).reshape(agreed.shape)


def chosen_truncation(
    horizons: Sequence[int],
    signs: Sequence[Estimate],
    logs: Float[np.ndarray, " horizon"],
    radius: float,
) -> Truncation:
    """The longest horizon at which the gradient is still worth it.

    Args:
        horizons: ascending.
        signs: sign agreement at each.
        logs: ln of the gradient's norm at each, the median over starts.
        radius: of the differences, for the reason.
    """
    poor = [i for i, sign in enumerate(signs) if sign.n and sign.centre < WORTH]
    faint = _faint(logs)
    ends = [index for index in (poor[0] if poor else None, faint) if index is not None]
    if not ends:
        return Truncation(
            None,
            f"up to {horizons[-1]:,} steps the sign of the gradient is right at least three times "
            "in four, and its norm does not sink to a hundredth",
        )
    place = min(ends)
    steps, beyond = horizons[max(0, place - 1)], horizons[place]
    if poor and place == poor[0]:
        right = f"{100 * signs[place].centre:.0f}%"
        return Truncation(
            steps,
            f"at {beyond:,} steps the sign of the gradient agrees with that of differences over "
            f"±{radius:.3g} in {right} of cases, less than three in four; a longer gradient is "
            "larger and says less",
        )
    return Truncation(
        steps,
        f"from {beyond:,} steps on the gradient is a hundredth of what it was or less, and adds "
        "nothing that is heard beside nearer losses",
    )


def _faint(logs: Float[np.ndarray, " horizon"]) -> int | None:
    """The first horizon from which on the norm is a hundredth of the first one or less."""
    start = next((value for value in logs if math.isfinite(value)), math.nan)
    above = np.flatnonzero(~(logs <= start - _FAINT))
    first = int(above[-1]) + 1 if len(above) else 0
    return first if first < len(logs) else None
