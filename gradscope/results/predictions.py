"""An experiment's predictions, held against what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from gradscope.results.formats import number
from gradscope.results.manifest import Prediction, TaskAbout
from gradscope.results.summary import summary
from gradscope.results.tables import Tables


def predictions(
    tables: Tables,
    expected: Sequence[Prediction],
    tasks: Mapping[str, TaskAbout] | None = None,
) -> pd.DataFrame:
    """Each prediction beside what was measured.

    Args:
        tables: of the run.
        expected: the manifest's predictions.
        tasks: as ``summary``.

    Returns:
        Columns claim, measured and predicted, in words; held: True, False, or None where it is not
        known; every: whether it holds for each seed against each seed, and not only for medians or
        rates over seeds.
    """
    frame = summary(tables, tasks)
    rows = []
    for prediction in expected:
        bound = prediction.bound
        measured = _value(frame, tables, prediction.configuration, prediction)
        against = _value(frame, tables, bound, prediction) if isinstance(bound, str) else bound
        known = not (np.isnan(measured) or np.isnan(against))
        above = prediction.above is not None
        held = (measured > against if above else measured < against) if known else None
        named = f"{bound}: {number(against)}" if isinstance(bound, str) else number(against)
        rows.append(
            {
                "claim": prediction.claim,
                "measured": _measured(tables, prediction, measured),
                "predicted": f"{'above' if above else 'below'} {named}",
                "held": held,
                "every": bool(held) and _apart(tables, prediction, tasks),
            }
        )
    return pd.DataFrame(rows, columns=["claim", "measured", "predicted", "held", "every"])


def _measured(tables: Tables, prediction: Prediction, value: float) -> str:
    length = _length(tables, prediction.configuration, prediction)
    where = f" at length {length}" if len(tables.lengths) > 1 else ""
    measure = prediction.measure.replace("_", " ")
    return f"{measure} of {prediction.configuration}{where}: {number(value)}"


def _length(tables: Tables, label: str, prediction: Prediction) -> int | None:
    return prediction.length if prediction.length is not None else tables.longest[label]


def _apart(tables: Tables, prediction: Prediction, tasks: Mapping[str, TaskAbout] | None) -> bool:
    """Whether each seed by itself is on the predicted side of the bound.

    A bound that is a configuration is the value of each of its seeds.
    """
    bound = prediction.bound
    values = _by_seed(tables, prediction.configuration, prediction, tasks)
    against = (
        _by_seed(tables, bound, prediction, tasks) if isinstance(bound, str) else [float(bound)]
    )
    if any(np.isnan([*values, *against])):
        return False
    if prediction.above is not None:
        return min(values) > max(against)
    return max(values) < min(against)


def _by_seed(
    tables: Tables, label: str, prediction: Prediction, tasks: Mapping[str, TaskAbout] | None
) -> list[float]:
    """The measure of each trial of a configuration by itself."""
    trials = tables["trials"]
    chosen = trials[trials["configuration"] == label]
    if (length := _length(tables, label, prediction)) is not None:
        chosen = chosen[chosen["length"] == length]
    summaries = [summary(tables.of_trial(trial), tasks) for trial in chosen["trial"]]
    return [_value(frame, tables, label, prediction) for frame in summaries]


def _value(frame: pd.DataFrame, tables: Tables, label: str, prediction: Prediction) -> float:
    """The measure of one configuration; NaN where it is not known."""
    chosen = frame[frame["configuration"] == label]
    if (length := _length(tables, label, prediction)) is not None:
        chosen = chosen[chosen["length"] == length]
    known = len(chosen) and prediction.measure in chosen
    return float(chosen[prediction.measure].iloc[0]) if known else float("nan")
