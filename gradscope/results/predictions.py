"""An experiment's predictions, held against what was measured and what its seeds bear."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from gradscope.results import phrases
from gradscope.results.comparisons import Comparison, compare
from gradscope.results.formats import interval, number
from gradscope.results.manifest import Prediction, TaskAbout
from gradscope.results.measures import Group, Measure
from gradscope.results.scales import Sample, Scale
from gradscope.results.statistics import Estimate
from gradscope.results.summary import Place, groups, measures_of
from gradscope.results.tables import Tables

#: what may become of a prediction
HELD, HELD_BY_CHANCE, NOT_HELD, NOT_KNOWN = (
    "held on evidence",
    "held, not beyond chance",
    "not held",
    "not known",
)
_COLUMNS = ["claim", "measured", "predicted", "difference", "held", "every", "evident", "result"]


@dataclass(frozen=True)
class _Side:
    """A configuration's measure: its value for each seed, and over them."""

    sample: Sample
    estimate: Estimate
    trials: int


def predictions(
    tables: Tables,
    expected: Sequence[Prediction],
    tasks: Mapping[str, TaskAbout] | None = None,
) -> pd.DataFrame:
    """Each prediction beside what was measured.

    Two configurations are compared seed by seed, see ``compare``; a number is held against the
    interval of the measure, of durations that of their mean up to their bounds. Each claim is
    judged by itself, at 95%; none is evident where a trial diverged and so has no value.

    Args:
        tables: of the run.
        expected: the manifest's predictions.
        tasks: as ``summary``.

    Returns:
        Columns claim, measured, predicted and difference, in words; held: True, False, or None
        where it is not known; every: whether it holds for each seed against the same seed, or each
        against each where they have not the same; evident: whether what was found, for or against
        it, is beyond chance; result: in words, one of "held on evidence", "held, not beyond
        chance", "not held" and "not known".
    """
    measures = {measure.name: measure for measure in measures_of(tables, tasks or {})}
    found = groups(tables)
    rows = [_row(tables, prediction, measures, found) for prediction in expected]
    return pd.DataFrame(rows, columns=_COLUMNS)


def explained(words: Iterable[str]) -> list[str]:
    """What a reader needs to know to read these words of ``predictions``, a sentence each."""
    said = "\n".join(words)
    sentences = []
    if HELD_BY_CHANCE in said:
        sentences.append(
            "Held, not beyond chance: the estimate lies on the expected side of the bound, and its "
            "interval reaches over it; more seeds would decide."
        )
    if re.search(r" at \d+%", said):
        sentences.append(
            "(1 to 3 at 75%): an interval of a median holds it with that chance; of so few seeds "
            "none reaches 95%, as the others do."
        )
    return sentences


def _row(
    tables: Tables,
    prediction: Prediction,
    measures: Mapping[str, Measure],
    found: Mapping[Place, Group],
) -> dict[str, object]:
    measure, bound = measures.get(prediction.measure), prediction.bound
    above = prediction.above is not None
    way = 1 if above else -1
    side = _side(tables, prediction.configuration, prediction, measure, found)
    named, other = number(bound) if not isinstance(bound, str) else "", None
    if isinstance(bound, str):
        other = _side(tables, bound, prediction, measure, found)
        named = f"{bound}: {_printed(measure, other)}"
    held, every, evident, difference = None, False, False, ""
    if measure is not None and side is not None:
        if other is not None:
            held, every, comparison = _against_other(measure, side.sample, other.sample, above)
        elif not isinstance(bound, str):
            held, every, comparison = _against_number(measure, side, float(bound), above)
        else:
            comparison = None
        if held is not None and comparison is not None:
            difference = _difference(comparison, other is not None)
            evident = _evident(comparison, [side, other], agrees=held == (comparison.sign == way))
    return {
        "claim": prediction.claim,
        "measured": f"{_about(tables, prediction)}: {_printed(measure, side)}",
        "predicted": f"{'above' if above else 'below'} {named}",
        "difference": difference,
        "held": held,
        "every": bool(held) and every,
        "evident": evident,
        "result": _result(held, evident),
    }


def _evident(comparison: Comparison, sides: Sequence[_Side | None], *, agrees: bool) -> bool:
    """Whether it is beyond chance; never where a trial diverged, or medians say otherwise."""
    values = [value for side in sides if side for value in side.sample.values.values()]
    return comparison.evident and agrees and not any(math.isnan(value) for value in values)


def _result(held: bool | None, evident: bool) -> str:
    if held is None:
        return NOT_KNOWN
    if not held:
        return NOT_HELD
    return HELD if evident else HELD_BY_CHANCE


def _against_other(
    measure: Measure, first: Sample, second: Sample, above: bool
) -> tuple[bool | None, bool, Comparison]:
    """Whether one configuration lies beyond another, and does so seed by seed.

    It is not known of durations that are all only known to exceed their bounds.
    """
    comparison = compare(measure.scale, first, second)
    values = [*first.values.values(), *second.values.values()]
    way = 1 if above else -1
    sign = comparison.sign
    if measure.scale is Scale.DURATION:
        sign = _order(measure.scale.estimate(first), measure.scale.estimate(second), sign)
    unreached = measure.scale is Scale.DURATION and all(math.isinf(value) for value in values)
    if math.isnan(comparison.effect.centre) or unreached:
        return None, False, comparison
    held = sign == way
    gaps = list(comparison.differences.values())
    if set(first.values) != set(second.values):
        gaps = [
            measure.scale.comparable(first, a, second.bound(b))
            - measure.scale.comparable(second, b, first.bound(a))
            for a in first.values
            for b in second.values
        ]
    complete = not any(math.isnan(value) for value in values)
    return held, complete and all(way * gap > 0 for gap in gaps), comparison


def _order(first: Estimate, second: Estimate, otherwise: int) -> int:
    """-1 where the first median is less, 1 where it is more; ``otherwise`` where none can say.

    None can where both were not reached, or one was not, short of the other.
    """
    if first.censored and (second.censored or first.centre < second.centre):
        return otherwise
    if second.censored and second.centre < first.centre:
        return otherwise
    if first.censored or second.censored:
        return 1 if first.censored else -1
    return (first.centre > second.centre) - (first.centre < second.centre)


def _against_number(
    measure: Measure, side: _Side, bound: float, above: bool
) -> tuple[bool | None, bool, Comparison]:
    """Whether a configuration lies beyond a number, and each of its seeds does.

    What is only known to exceed its bound is above any number up to that, below none, and
    otherwise not known.
    """
    sample, estimate, way = side.sample, side.estimate, 1 if above else -1
    least = [min(value, sample.bound(seed)) for seed, value in sample.values.items()]
    censored = [
        measure.scale is Scale.DURATION and math.isinf(value) for value in sample.values.values()
    ]
    if measure.scale is Scale.SHARE:
        ends = (end - bound for end in (estimate.centre, estimate.low, estimate.high))
        effect = Estimate(*ends, n=estimate.n)
        comparison = Comparison(effect, math.nan, False, (estimate.n, estimate.n), True, {})
    else:
        scale = measure.scale if bound > 0 or not measure.scale.is_ratio else Scale.MEAN
        known = Sample(dict.fromkeys(sample.seeds, bound))
        comparison = compare(scale, sample, known)
        if any(censored) and not above:  # they lie above what they count as
            without = Estimate(comparison.effect.centre, n=comparison.effect.n)
            comparison = Comparison(
                without, math.nan, comparison.is_ratio, comparison.seeds, True, {}, (True, False)
            )
    if math.isnan(estimate.centre) or (estimate.censored and estimate.centre < bound):
        return None, False, comparison
    held = not estimate.censored and way * (estimate.centre - bound) > 0
    held = held or (estimate.censored and above)
    every = all(
        (above and value >= bound) if beyond else way * (value - bound) > 0
        for value, beyond in zip(least, censored, strict=True)
    )
    return held, every, comparison


def _difference(comparison: Comparison, of_two: bool) -> str:
    """By how much, in words; a share held against a number says it by its own interval."""
    if of_two:
        said = phrases.evidence(comparison, comparison.p)
    elif not math.isnan(comparison.p):
        said = f"{interval(comparison.effect)}; {phrases.p_value(comparison.p)}"
    else:
        return ""
    return f"{phrases.effect(comparison)} ({said})"


def _printed(measure: Measure | None, side: _Side | None) -> str:
    return "–" if measure is None or side is None else measure.printed(side.estimate, side.trials)


def _about(tables: Tables, prediction: Prediction) -> str:
    length = _length(tables, prediction.configuration, prediction)
    where = f" at length {length}" if len(tables.lengths) > 1 else ""
    return f"{prediction.measure.replace('_', ' ')} of {prediction.configuration}{where}"


def _length(tables: Tables, label: str, prediction: Prediction) -> int | None:
    return prediction.length if prediction.length is not None else tables.longest.get(label)


def _side(
    tables: Tables,
    label: str,
    prediction: Prediction,
    measure: Measure | None,
    found: Mapping[Place, Group],
) -> _Side | None:
    """The measure of one configuration; None where it is not known."""
    length = _length(tables, label, prediction)
    group = found.get((label, -1 if length is None else length))
    if group is None or measure is None:
        return None
    sample = measure.of(group)
    return _Side(sample, measure.scale.estimate(sample), len(group.trials))
