"""Numbers in print."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from gradscope.results.statistics import LEVEL, Estimate

_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def number(value: float | int) -> str:
    """Three significant digits, all of a larger number's; – for what is not known.

    >>> number(0.123456), number(1234.5), number(-math.inf), number(math.nan)
    ('0.123', '1234', '−∞', '–')
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    whole = (value == int(value) or abs(value) >= 1000) and abs(value) < 1e6
    return (f"{value:.0f}" if whole else f"{value:.3g}").replace("-", "−")


def share(value: float | int) -> str:
    """A percentage; – for what is not known."""
    return "–" if math.isnan(value) else f"{value:.0%}"


def factor(log_value: float | int) -> str:
    """e^log_value as a power of ten.

    >>> factor(-23.0)
    '10⁻¹⁰'
    >>> factor(5.4)
    '220'
    """
    if math.isinf(log_value):
        return "0" if log_value < 0 else "∞"
    exponent = log_value / math.log(10)
    if abs(exponent) < 3:
        return f"{float(f'{10**exponent:.2g}'):g}"
    return "10" + f"{exponent:.0f}".translate(_SUPERSCRIPTS)


def listed(names: Sequence[str], most: int = 12) -> str:
    """The first of them, and how many more there are."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[: most - 2])} and {len(names) - most + 2} more"


def power(log_value: float | int) -> str:
    """A factor in print: × and ``factor``."""
    return f"×{factor(log_value)}"


def interval(
    estimate: Estimate, show: Callable[[float], str] = number, *, of: int | None = None
) -> str:
    """What is known around an estimate, without brackets, such as "1.2 to 3.4".

    Below 95% it says the level; of one value, or of fewer than there are trials, it says n. Where
    there is no interval it says why.

    >>> interval(Estimate(2.0, 1.0, 3.0, 3, level=0.75))
    '1 to 3 at 75%'

    Args:
        estimate: in print.
        show: how a value is printed.
        of: how many trials there are; None does not compare.
    """
    if not estimate.n:
        return ""
    count = f"n = {estimate.n}"
    if not estimate.bounded:
        return count if estimate.n == 1 else f"no interval, {count}"
    high = f"to {show(estimate.high)}" if not math.isinf(estimate.high) else "or more"
    said = f"{show(estimate.low)} {high}"
    if estimate.level < LEVEL:
        said += f" at {estimate.level:.0%}"
    return said if of in (None, estimate.n) else f"{said}, {count}"


def estimated(
    estimate: Estimate,
    show: Callable[[float], str] = number,
    *,
    of: int | None = None,
    separator: str = " ",
    centre: str = "",
) -> str:
    """An estimate with its interval, such as "2.1 (1.2 to 3.4)" or "> 50 (n = 1)".

    >>> estimated(Estimate(50.0, 20.0, math.inf, 5, level=0.9375, censored=True))
    '> 50 (20 or more at 94%)'

    Args:
        estimate: in print.
        show: how a value is printed.
        of: how many trials there are; None does not compare.
        separator: between the estimate and its interval.
        centre: what is printed for the estimate itself; empty is its value.
    """
    beyond = "> " if estimate.censored else ""
    said = centre or f"{beyond}{show(estimate.centre)}"
    around = interval(estimate, show, of=of)
    return f"{said}{separator}({around})" if around else said
