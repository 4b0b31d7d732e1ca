"""The horizons at which a gradient is taken."""

from __future__ import annotations

from collections.abc import Sequence

from gradscope.errors import GradscopeError

#: horizons in each decade, unless they are given
_IN_A_DECADE = 10


def chosen_horizons(time: int, given: Sequence[int] | None) -> list[int]:
    """0 and those given, ascending; or all up to ten, and ten in each decade from there to T.

    >>> chosen_horizons(40, None)
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 16, 20, 25, 32, 40]

    Raises:
        GradscopeError: for a horizon that is no whole number from 0 to T.
    """
    if given is None:
        powers = [round(10 ** (i / _IN_A_DECADE)) for i in range(10 * _IN_A_DECADE)]
        return sorted({0, *range(min(10, time)), time, *(h for h in powers if h <= time)})
    for horizon in given:
        if not isinstance(horizon, int) or not 0 <= horizon <= time:
            raise GradscopeError(
                f"horizons should be whole numbers from 0 to {time}, got {horizon}"
            )
    return sorted({0, *given})
