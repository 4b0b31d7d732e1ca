"""Numbers in print."""

from __future__ import annotations

import math
from collections.abc import Sequence

_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def number(value: float | int) -> str:
    """Three significant digits; – for what is not known.

    >>> number(0.123456), number(-math.inf), number(math.nan)
    ('0.123', '−∞', '–')
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    whole = value == int(value) and abs(value) < 1e6
    return (f"{value:.0f}" if whole else f"{value:.3g}").replace("-", "−")


def share(value: float | int) -> str:
    """A percentage; – for what is not known."""
    return "–" if math.isnan(value) else f"{value:.0%}"


def factor(log_value: float | int) -> str:
    """e^log_value as a power of ten.

    >>> factor(-23.0)
    '10⁻¹⁰'
    """
    if math.isinf(log_value):
        return "0" if log_value < 0 else "∞"
    exponent = log_value / math.log(10)
    if abs(exponent) < 3:
        return f"{10**exponent:.2g}"
    return "10" + f"{exponent:.0f}".translate(_SUPERSCRIPTS)


def listed(names: Sequence[str], most: int = 12) -> str:
    """The first of them, and how many more there are."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[: most - 2])} and {len(names) - most + 2} more"
