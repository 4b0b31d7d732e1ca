"""Steps of a series that are out of scale with its others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from gradscope.dynamics.decay import DecayFit, rounding
from gradscope.dynamics.wandering import Wandering, whitened

_Array = NDArray[np.float64]

#: chance below which the greatest of several errors is out of scale with the others
_OUT_OF_SCALE = 0.001


def explains(fit: DecayFit, x: _Array, y: _Array) -> bool:
    """Whether no step but the first is out of scale with how the series wanders about the law."""
    return explained([fit], x, y[:, None])[0]


def explained(fits: Sequence[DecayFit], x: _Array, table: _Array) -> list[bool]:
    """Of each series of a table whether its law explains it."""
    drawn = np.stack([fit.at(x) for fit in fits], axis=1)
    each = [fit.fall.way for fit in fits]
    ways = Wandering(*(np.concatenate(part) for part in zip(*each, strict=True)))
    steps = whitened(x[1:], (table - drawn)[1:, :, None], ways)
    errors = np.stack([error[:, 0] for error, _ in steps], axis=1)
    return [
        not _out_of_scale(np.abs(error), 2, rounding(y))
        for error, y in zip(errors, table.T, strict=True)
    ]


def jumps(x: _Array, y: _Array) -> bool:
    """Whether the series falls at one step that is out of scale with the others."""
    steps = np.diff(y) / np.sqrt(np.diff(x))
    return len(steps) > 3 and _out_of_scale(np.median(steps) - steps, 1, rounding(y))


def _out_of_scale(errors: _Array, sides: int, floor: float) -> bool:
    """Whether the greatest error is an outlier, by Student's t of it over the others."""
    count, greatest = len(errors), float(errors.max())
    others = float(np.sum(errors**2)) - greatest**2 + count * floor**2
    chance = special.stdtr(count - 1, -greatest / np.sqrt(others / (count - 1)))
    return bool(sides * count * chance < _OUT_OF_SCALE)
