"""What was found of an unroll, in words."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from gradscope.dynamics import MemoryHorizon
from gradscope.results.statistics import Estimate

#: columns of a text
_WIDTH = 100


class Said(NamedTuple):
    """One thing that was found."""

    what: str
    words: str


def of_exponent(exponent: Estimate) -> str:
    """What the exponent is, and what a perturbation does at that rate."""
    value = exponent.centre
    if math.isnan(value):
        return "not known"
    if value == -math.inf:
        return "−∞: nothing passes"
    rate = f"{value:.4g} nats a step{_between(exponent, '.4g')}"
    if exponent.bounded and not exponent.excludes(0.0):
        return f"{rate}: neither grows nor shrinks for sure"
    way = "grows" if value > 0 else "shrinks"
    return f"{rate}: {way} by e in {1 / abs(value):.3g} steps" if value else rate


def of_norms(horizons: Sequence[int], norms: Sequence[Estimate]) -> str:
    """By which factor the gradient changes from the first horizon to the last."""
    first = next((i for i, norm in enumerate(norms) if math.isfinite(norm.centre)), None)
    if first is None:
        return "exactly zero at every horizon"
    last, span = norms[-1], f"from T = {horizons[first]:,} to {horizons[-1]:,}"
    if last.centre == -math.inf:
        dead = next(i for i, norm in enumerate(norms) if i > first and math.isinf(norm.centre))
        return f"exactly zero at T = {horizons[dead]:,} and beyond"
    if first == len(norms) - 1:
        return f"{_power(last.centre)} at T = {horizons[-1]:,} (median over starts)"
    return f"× {_power(last.centre - norms[first].centre)} {span} (median over starts)"


def of_signs(horizons: Sequence[int], signs: Sequence[Estimate], radius: float) -> str:
    """How often the sign is right at first and at last, and at which scale."""
    known = [i for i, sign in enumerate(signs) if sign.n and horizons[i] > 0]
    if not known:
        return "not known: all differences are within rounding"
    ends = ", ".join(
        f"{100 * signs[i].centre:.0f}% ({100 * signs[i].low:.0f} to {100 * signs[i].high:.0f}%) "
        f"at T = {horizons[i]:,}"
        for i in dict.fromkeys((known[0], known[-1]))
    )
    return f"{ends}; differences over ±{radius:.3g}"


def of_noise(
    horizons: Sequence[int], signal_to_noise: Sequence[float], variance_rate: float
) -> str:
    """How far starts agree on the gradient, and how its variance grows."""
    first = next(i for i, length in enumerate(horizons) if length > 0)
    ends = ", ".join(
        f"{signal_to_noise[i]:.2g} at T = {horizons[i]:,}"
        for i in dict.fromkeys((first, len(horizons) - 1))
    )
    if not math.isfinite(variance_rate):
        return ends
    return f"{ends}; the variance changes by {variance_rate:.3g} nats a step"


def of_trusted(trusted: Estimate) -> str:
    """The horizon in steps, with its interval."""
    if math.isnan(trusted.centre):
        return "not known: all differences are within rounding"
    if trusted.censored:
        return f"> {trusted.centre:,.0f} steps"
    high = "∞" if math.isinf(trusted.high) else f"{trusted.high:,.0f}"
    return f"{trusted.centre:,.0f} steps ({trusted.low:,.0f} to {high})"


def of_memory(memory: MemoryHorizon | None, rounding: int | None) -> str:
    """Where the gradient has sunk by e, and where below rounding; "" where it does neither."""
    parts = []
    falls = memory is not None and (memory.rate < 0 or memory.kind == "finite support")
    if memory is not None and falls and memory.kind != "no fall":
        parts.append(f"sunk by e after {memory}")
    if rounding is not None:
        parts.append(f"below rounding of the first from T = {rounding:,} on")
    return "; ".join(parts)


def as_text(title: str, said: Sequence[Said], notes: Sequence[str]) -> str:
    """A title, a line or two for each thing, and the notes."""
    room = max(len(each.what) for each in said) + 2
    lines = textwrap.wrap(title, _WIDTH)
    for each in said:
        head, gap = f"  {each.what:<{room}}", " " * (room + 2)
        lines += textwrap.wrap(each.words, _WIDTH, initial_indent=head, subsequent_indent=gap)
    for note in notes:
        lines += textwrap.wrap(f"Note: {note}", _WIDTH, initial_indent="  ", subsequent_indent="  ")
    return "\n".join(lines)


def _power(logarithm: float) -> str:
    """A factor, whatever its size."""
    if abs(logarithm) < 600:
        return f"{math.exp(logarithm):.2g}"
    return f"e^{logarithm:.0f}"


def _between(estimate: Estimate, form: str) -> str:
    if not estimate.bounded:
        return ""
    return f" ({format(estimate.low, form)} to {format(estimate.high, form)})"
