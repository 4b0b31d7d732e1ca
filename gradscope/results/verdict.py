"""The verdict: a run in sentences, from its data alone, each with its number and interval.

The rules. Success is a share of seeds with its exact interval. A language model is judged in bits
against its n-gram, what no seed solved by its loss against the best answer without a memory: below,
above, or no evidence, by Student's t on logarithms with Holm's correction over the configurations.
Settings of an axis are compared by the ``yardstick``, seed by seed. A gradient vanishes or explodes
where it does in every seed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

import pandas as pd

from gradscope.results import phrases
from gradscope.results.comparisons import Comparison, compare
from gradscope.results.contests import contests
from gradscope.results.effects import effects
from gradscope.results.formats import factor, interval, listed, number, share
from gradscope.results.manifest import TaskAbout
from gradscope.results.measures import MEASURES, Group, Measure
from gradscope.results.scales import Sample, Scale
from gradscope.results.statistics import LEVEL, STRONG, Estimate, holm
from gradscope.results.summary import groups, measures_of
from gradscope.results.tables import Tables
from gradscope.results.yardstick import BITS, of_language, yardstick

#: what a gradient may do over a sequence, in the order in which it is told
_FATES = ("vanishes", "stays in range", "explodes", "depends on the seed")

#: what is said of a fate that several seeds share
_BY_ALL = " in every seed"


def fate(log_factor: float | int) -> str:
    """Whether ||ds_T/ds_0|| vanishes, explodes or stays in range over a sequence.

    The border is a factor of a thousand.

    >>> fate(-23.0), fate(0.5)
    ('vanishes', 'stays in range')

    Args:
        log_factor: ln ||ds_T/ds_0||; NaN where it is not measured.
    """
    if math.isnan(log_factor):
        return "is not measured"
    if log_factor <= -STRONG:
        return "vanishes"
    return "explodes" if log_factor >= STRONG else "stays in range"


def verdict(tables: Tables, tasks: Mapping[str, TaskAbout] | None = None) -> list[str]:
    """Who solved the task, which setting did best on what evidence, whose gradient vanishes.

    At each configuration's greatest task length.

    Args:
        tables: of the run.
        tasks: as ``summary``.
    """
    found = _at_longest(tables)
    language = set(tables["trials"].loc[of_language(tables), "configuration"])
    others = {label: group for label, group in found.items() if label not in language}
    texts = {label: group for label, group in found.items() if label in language}
    judged = yardstick(tables, tasks)
    sentences = _success(others, tables.where)
    sentences += _bits(texts, tables, tasks or {}) + _losses(others)
    sentences += _diverged(found)
    sentences += [phrases.contest(contest, judged) for contest in contests(tables, judged)]
    sentences += _interactions(effects(tables, judged))
    if "memory_horizon" in tables:
        sentences += _gradients(found)
    return sentences


def _at_longest(tables: Tables) -> dict[str, Group]:
    """Configuration to what was recorded of it at its greatest length."""
    longest = {label: -1 if n is None else n for label, n in tables.longest.items()}
    return {
        label: group
        for (label, length), group in groups(tables).items()
        if length == longest[label]
    }


def _success(found: Mapping[str, Group], where: str) -> list[str]:
    counts = {label: MEASURES["success_rate"].estimate(group) for label, group in found.items()}
    sentences = []
    for who, chosen in (
        ("every seed", [label for label, rate in counts.items() if rate.centre == 1]),
        ("some seeds", [label for label, rate in counts.items() if 0 < rate.centre < 1]),
        ("no seed", [label for label, rate in counts.items() if rate.centre == 0]),
    ):
        if chosen:
            named = _shares({label: counts[label] for label in chosen})
            sentences.append(f"Solved{where} by {who}: {named}.")
    return sentences


def _diverged(found: Mapping[str, Group]) -> list[str]:
    counts = {
        label: MEASURES["diverged_fraction"].estimate(group) for label, group in found.items()
    }
    some = {label: rate for label, rate in counts.items() if rate.centre > 0}
    about = "Diverged (a loss or gradient that is no longer a number)"
    return [f"{about}: {_shares(some)}."] if some else []


def _shares(rates: Mapping[str, Estimate]) -> str:
    """Labels with their counts; the interval of the share once where it is the same for all."""
    counts = {label: f"{round(r.centre * r.n)}/{r.n}" for label, r in rates.items()}
    around = {label: f"{share(r.low)} to {share(r.high)}" for label, r in rates.items()}
    if len(set(counts.values())) == 1:
        said = listed([f"{label} ({count})" for label, count in counts.items()])
        return f"{said}; 95% interval of the share {next(iter(around.values()))}"
    return listed([f"{label} ({counts[label]}, {around[label]})" for label in rates])


def _losses(found: Mapping[str, Group]) -> list[str]:
    """What no seed solved, by its loss against that of the best answer without a memory."""
    measure = MEASURES["loss_over_baseline"]
    unsolved = {k: g for k, g in found.items() if not (g.trials["outcome"] == "solved").any()}
    samples = {label: measure.of(group) for label, group in unsolved.items()}
    marks = {label: Sample(dict.fromkeys(sample.values, 1.0)) for label, sample in samples.items()}
    about = "Of what no seed solved, the test loss against that of the best answer without a memory"
    return _beside(about, measure, samples, marks, "×")


def _bits(found: Mapping[str, Group], tables: Tables, tasks: Mapping[str, TaskAbout]) -> list[str]:
    """Language models in bits against their n-gram of the greatest order."""
    sentences = []
    for measure in measures_of(tables, tasks):
        if not measure.name.startswith(BITS):
            continue
        samples, marks, names = {}, {}, set()
        for label, group in found.items():
            references = tables["references"]
            mine = references[references["trial"].isin(group.trials["trial"])]
            last = mine.groupby("trial")[["reference", measure.name]].last()
            names |= set(last["reference"] + " (" + last[measure.name].map(number) + ")")
            samples[label] = measure.of(group)
            by_trial = {str(trial): float(x) for trial, x in last[measure.name].items()}
            marks[label] = Sample(group.by_seed(by_trial))
        noun = measure.name.replace("_", " ").capitalize()
        named = f"the {names.pop()}" if len(names) == 1 else "the n-gram of the same text"
        sentences += _beside(f"{noun} of held-out text against {named}", measure, samples, marks)
    return sentences


def _beside(
    about: str,
    measure: Measure,
    samples: Mapping[str, Sample],
    marks: Mapping[str, Sample],
    sign: str = "",
) -> list[str]:
    """Which samples lie below and above their mark, as one sentence."""
    held = {
        label: compare(Scale.GEOMETRIC, sample, marks[label])
        for label, sample in samples.items()
        if sample.seeds
    }
    corrected = dict(zip(held, holm([c.p for c in held.values()]), strict=True))
    parts: dict[str, list[str]] = {}
    for label, comparison in held.items():
        estimate = measure.scale.estimate(samples[label])
        said = f"{label} ({sign}{number(estimate.centre)}, {interval(estimate)})"
        parts.setdefault(_side(comparison, corrected[label]), []).append(said)
    order = [side for side in _SIDES if side in parts]
    told = [f"{side} for {listed(parts[side], 8)}" for side in order]
    return [f"{about}: {'; '.join(told)}."] if told else []


#: where a loss may lie beside its mark, in the order in which it is told
_SIDES = (
    "below it beyond chance",
    "no evidence of a difference",
    "above it beyond chance",
    "below it by one seed, which is no evidence,",
    "above it by one seed, which is no evidence,",
)


def _side(comparison: Comparison, p: float) -> str:
    below = comparison.sign < 0
    if math.isnan(p):
        return _SIDES[3] if below else _SIDES[4]
    if p > 1 - LEVEL:
        return _SIDES[1]
    return _SIDES[0] if below else _SIDES[2]


def _interactions(table: pd.DataFrame) -> list[str]:
    """Which axes change each other's effect beyond chance."""
    evident = table[table["term"].str.contains(" × ") & (table["p"] <= 1 - LEVEL)]
    sentences = []
    for row in evident.to_dict("records"):
        axes = phrases.title(row["term"].replace(" × ", " and "))
        sentences.append(
            f"{axes} depend on each other beyond chance: their interaction is "
            f"{share(row['share'])} of the variance ({phrases.p_value(row['p'])})."
        )
    return sentences


def _gradients(found: Mapping[str, Group]) -> list[str]:
    lengths = {label: MEASURES["steps"].estimate(group).centre for label, group in found.items()}
    known = sorted({round(value) for value in lengths.values() if not math.isnan(value)})
    over = f"the {known[0]} steps of a sequence" if len(known) == 1 else ""
    if len(known) > 1:
        over = f"a sequence ({known[0]} to {known[-1]} steps)"
    sentences = []
    for column, when in (
        ("log_norm_initial", "Before training"),
        ("log_norm", "At the end of training"),
    ):
        samples = {label: MEASURES[column].of(group) for label, group in found.items()}
        parts = _fates({label: sample for label, sample in samples.items() if sample.seeds})
        if parts:
            sentences.append(
                f"{when}, over {over}, the gradient of the last state with respect to the "
                f"first, ‖∂s_T/∂s_0‖, {'; it '.join(parts)}."
            )
    return sentences


def _fates(samples: Mapping[str, Sample]) -> list[str]:
    """Who shares a fate in every seed; who does not, with how many have the commonest one."""
    by_fate: dict[str, list[str]] = {}
    for label, sample in samples.items():
        norm, known = Scale.MEAN.estimate(sample), [sample.values[seed] for seed in sample.seeds]
        (how, count), *others = Counter(fate(value) for value in known).most_common()
        said = interval(norm, factor)
        if others:
            said, how = f"{said}; it {how} in {count} of {len(known)}", _FATES[3]
        elif len(known) > 1:
            how = f"{how}{_BY_ALL}"
        by_fate.setdefault(how, []).append(f"{label} (×{factor(norm.centre)}, {said})")
    told = [how + by for how in _FATES for by in ("", _BY_ALL)]
    return [f"{how} for {listed(by_fate[how])}" for how in told if how in by_fate]
