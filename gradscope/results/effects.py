"""Effects: how much of a run's variance the swept axes explain, alone and together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg, special

from gradscope.results.contests import settings_axes
from gradscope.results.statistics import holm, spreads
from gradscope.results.tables import Tables
from gradscope.results.yardstick import Yardstick

#: columns of the result
_COLUMNS = ["term", "share", "freedom", "p"]
#: how the rest of the variance is called
REST = "seeds and the rest"


def effects(tables: Tables, judged: Yardstick) -> pd.DataFrame:
    """Main effects of the swept axes and interactions of two, with their share of the variance.

    Of the yardstick at each configuration's greatest length, logarithms where it is compared by
    ratios. A term's sum of squares is what it adds to all terms that do not contain it (type II);
    where every combination has as many seeds these are the classical ones and add up with the rest
    to the whole. Its p is that of the F-test against the rest, by Holm's correction over the terms;
    seeds that configurations share make it too large rather than too small.

    Args:
        tables: of the run.
        judged: what its configurations are judged by.

    Returns:
        Columns term, share (of the sum of squares), freedom (degrees of it) and p (NaN where one
        seed leaves nothing to test against); the last row is the rest. Empty without an axis, and
        where all values are alike or one is infinite.

    Reference: Yates (1934), The analysis of multiple classifications with unequal numbers.
    """
    rows = _rows(tables, judged)
    axes = [axis for axis in settings_axes(tables) if axis in rows and rows[axis].nunique() > 1]
    values = rows["value"].to_numpy(dtype=float)
    if not axes or not spreads(values):
        return pd.DataFrame(columns=_COLUMNS)
    whole = float(((values - values.mean()) ** 2).sum())
    columns = {axis: _indicators(rows[axis]) for axis in axes}
    terms: dict[tuple[str, ...], NDArray[np.float64]] = {(axis,): columns[axis] for axis in axes}
    for first, second in itertools.combinations(axes, 2):
        product = columns[first][:, :, None] * columns[second][:, None, :]
        terms[first, second] = product.reshape(len(rows), -1)
    if len(values) <= _fit(values, list(terms.values()))[1]:  # interactions are all that is left
        terms = {term: matrix for term, matrix in terms.items() if len(term) == 1}
    return _table(terms, values, whole, repeated=bool(rows.duplicated(settings_axes(tables)).any()))


def _table(
    terms: Mapping[tuple[str, ...], NDArray[np.float64]],
    values: NDArray[np.float64],
    whole: float,
    *,
    repeated: bool,
) -> pd.DataFrame:
    left, rank = _fit(values, list(terms.values()))
    spare = len(values) - rank
    rows = []
    for term in terms:
        others = [other for other in terms if not set(term) <= set(other)]
        without = _fit(values, [terms[other] for other in others])
        matrices = [terms[other] for other in [*others, term]]
        with_it = _fit(values, matrices)
        squares, freedom = max(0.0, without[0] - with_it[0]), with_it[1] - without[1]
        if not freedom:  # an unfinished sweep does not tell it from the others
            continue
        p = math.nan
        if repeated and spare > 0:
            f = squares / freedom / (left / spare) if left > 1e-12 * whole else math.nan
            p = float(special.fdtrc(freedom, spare, f))
        rows.append([" × ".join(term), squares / whole, freedom, p])
    rows.append([REST, left / whole, spare, math.nan])
    table = pd.DataFrame(rows, columns=_COLUMNS)
    return table.assign(p=holm(table["p"].tolist()))


def _fit(values: NDArray[np.float64], matrices: Sequence[NDArray[np.float64]]) -> tuple[float, int]:
    """What a least squares fit of a constant and these columns leaves, and its rank."""
    design = np.column_stack([np.ones(len(values)), *matrices])
    # by QR with pivots: columns of combinations that do not occur are told by the rank
    coefficients, _, rank, _ = linalg.lstsq(design, values, cond=1e-10, lapack_driver="gelsy")
    return float(((values - design @ coefficients) ** 2).sum()), int(rank)


def _indicators(labels: pd.Series) -> NDArray[np.float64]:
    """A column for each label but the first: 1 where a row carries it."""
    codes, names = pd.factorize(labels)
    return (codes[:, None] == np.arange(1, len(names))).astype(float)


def _rows(tables: Tables, judged: Yardstick) -> pd.DataFrame:
    """The value of every trial and its labels."""
    scale, rows = judged.measure.scale, []
    bounds = [s.bound(seed) for s in judged.samples.values() for seed in s.seeds]
    for entry in tables.trials:
        length = tables.longest[entry.configuration]
        sample = judged.samples.get((entry.configuration, -1 if length is None else length))
        if sample is None or entry.length != length or entry.seed not in sample.seeds:
            continue
        value = scale.comparable(sample, entry.seed, min(bounds))
        rows.append({**entry.axes, "value": value})
    return pd.DataFrame(rows, columns=None if rows else ["value"])
