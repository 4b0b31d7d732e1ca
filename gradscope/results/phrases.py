"""Phrases: comparisons and their evidence in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradscope.results.comparisons import Comparison
from gradscope.results.contests import Contest, Standing
from gradscope.results.formats import interval, listed, number
from gradscope.results.statistics import Estimate
from gradscope.results.yardstick import Yardstick


def effect(comparison: Comparison) -> str:
    """A ratio or difference in print, such as "at most −40" where only the second is censored."""
    value = comparison.effect.centre
    first, second = comparison.censored
    limit = "" if first == second else "at most " if second else "at least "
    sign = "×" if comparison.is_ratio else "+" if value > 0 else ""
    return f"{limit}{sign}{number(value)}"


def seeds(comparison: Comparison) -> str:
    """What a comparison rests on, such as "3 paired seeds"."""
    first, second = comparison.seeds
    if comparison.paired:
        return "one seed" if first == 1 else f"{first} paired seeds"
    return f"{first} and {second} seeds, not paired"


def evidence(
    comparison: Comparison, p: float = math.nan, pairs: int = 1, *, mirrored: bool = False
) -> str:
    """The interval of a comparison, its seeds and p, such as "0.3 to 0.5; 3 paired seeds".

    Args:
        comparison: in words.
        p: its own or a corrected one; NaN is left out.
        pairs: of settings that p is corrected over.
        mirrored: whether a difference is told as how much less the first one has.
    """
    found = comparison.effect
    if mirrored and not comparison.is_ratio:
        found = Estimate(0.0 - found.centre, 0.0 - found.high, 0.0 - found.low, found.n)
    said = seeds(comparison)
    if max(comparison.seeds) > 1:
        said = f"{interval(found) if found.bounded else 'no interval'}; {said}"
    if math.isnan(p):
        return said
    return f"{said}; {p_value(p)}{f' over {pairs} pairs' if pairs > 1 else ''}"


def p_value(p: float) -> str:
    """A p-value in print.

    >>> p_value(0.0191), p_value(1e-5)
    ('p = 0.019', 'p < 0.001')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def contest(found: Contest, judged: Yardstick) -> str:
    """Which setting of an axis did best, by how much, and on what evidence."""
    axis, best, (following, *rest) = title(found.axis), found.best, found.others
    said = evidence(following.best, following.p, found.pairs, mirrored=True)
    beside = f"the {judged.noun} of" if following.best.is_ratio else f"{judged.noun} fewer than"
    against = f"{judged.has} {_amount(following.best)} {beside} {following.label} ({said})"
    if math.isnan(following.p):
        few = "one seed is" if max(following.best.seeds) == 1 else "a setting of one seed is"
        told = f"{axis}: {few} no evidence of a difference. {best} {against}."
    elif following.evident:
        told = f"{axis}: {best} did best. It {against}."
    elif following.best.sign == 0:
        told = f"{axis}: no evidence of a difference. {best} {against}."
    else:
        what = "which is best" if rest else "of a difference"
        told = f"{axis}: no evidence {what}. {best} came first: it {against}."
    return told + _others(rest)


def _amount(comparison: Comparison) -> str:
    """A ratio, or how much less the first has: at least so much if only the second is censored."""
    if comparison.is_ratio:
        return effect(comparison)
    first, second = comparison.censored
    limit = "" if first == second else "at least " if second else "at most "
    return f"{limit}{number(0.0 - comparison.effect.centre)}"


def _others(rest: Sequence[Standing]) -> str:
    """The settings behind the next best, those that are worse beyond chance first."""
    names: tuple[list[str], list[str]] = ([], [])
    for standing in rest:
        p = "" if math.isnan(standing.p) else f", {p_value(standing.p)}"
        fewer = "" if standing.best.is_ratio else " fewer"
        size = f"{_amount(standing.best)}{fewer}"
        names[not standing.evident].append(f"{standing.label} ({size}{p})")
    ahead, undecided = (listed(chosen, 6) for chosen in names)
    told = f" It is ahead beyond chance of {ahead}." if ahead else ""
    return told + (f" No evidence against {undecided}." if undecided else "")


def title(axis: str) -> str:
    """An axis of the sweep as the beginning of a sentence.

    >>> title("cell.hidden_size"), title("cell.name")
    ('Hidden size', 'Cell')
    """
    words = axis.removesuffix(".name").split(".")[-1].replace("_", " ")
    return words[:1].upper() + words[1:]
