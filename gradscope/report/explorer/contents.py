"""Tables as the explorer's contents: an index in JSON, and the arrays that it names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from gradscope.plots._looks import looks
from gradscope.report.explorer.packing import Packed
from gradscope.report.explorer.sources import SOURCES, Source, sources
from gradscope.report.explorer.thinning import thinned
from gradscope.results.tables import Tables

#: bytes of numbers on a page, before they are squeezed
MOST = 7_000_000


@dataclass(frozen=True)
class Contents:
    """What the explorer shows.

    Attributes:
        index: configurations, trials and measurements, as plain values.
        arrays: all numbers, as text.
        sources: names of the sources that there is something of.
        left_out: what of the run is not in them, in words.
    """

    index: Mapping[str, object]
    arrays: str
    sources: frozenset[str]
    left_out: list[str]


def contents(tables: Tables, most: int = MOST) -> Contents | None:
    """What the explorer shows of a run, or of a scope's recordings.

    Args:
        tables: all of them.
        most: bytes of numbers; of a run that has more, seeds and train steps are left out.

    Returns:
        None where nothing was measured that it could show.
    """
    measured = sources(tables)
    if not measured:
        return None
    frames, left_out = thinned(measured, most)
    del measured  # of a large run, much more than its thinned rows
    trials = _trials(tables, frames)
    packed = Packed()
    index = {
        "configurations": _configurations(tables),
        "trials": list(trials.values()),
        "sources": {
            name: _groups(frame, SOURCES[name], list(trials), packed)
            for name, frame in frames.items()
        },
        "arrays": packed.layout,
    }
    return Contents(index, packed.text(), frozenset(frames), left_out)


def _configurations(tables: Tables) -> list[dict[str, object]]:
    """Their names and looks, in the order of the sweep."""
    return [
        {
            "name": name,
            "colour": to_hex(look.colour),
            "dash": [] if look.dash == "-" else [1.8 * part for part in look.dash[1]],
        }
        for name, look in looks(tables).items()
    ]


def _trials(tables: Tables, frames: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, object]]:
    """What is to be known of each trial that was measured, in the order of the sweep."""
    there = set().union(*(frame["trial"].unique() for frame in frames.values()))
    ends: dict[str, dict[str, object]] = {}
    if "trials" in tables:
        for row in tables["trials"].to_dict("records"):
            ends[str(row["trial"])] = {"outcome": row["outcome"], "steps": row["steps"]}
    return {
        trial.id: {
            "configuration": tables.configurations.index(trial.configuration),
            "length": trial.length,
            "seed": trial.seed,
            **ends.get(trial.id, {}),
        }
        for trial in tables.trials
        if trial.id in there
    }


def _groups(
    frame: pd.DataFrame, source: Source, trials: list[str], packed: Packed
) -> dict[str, object]:
    """Columns with an entry for each measurement: its trial, train step, facets and arrays."""
    place_of = {trial: place for place, trial in enumerate(trials)}
    keys = ["trial", "train_step", *source.facets]
    frame = frame.assign(trial=frame["trial"].map(place_of).astype(int))
    frame = frame.sort_values([*keys, *source.places], kind="stable")
    starts = np.flatnonzero(~frame[keys].duplicated().to_numpy())
    ends = [*starts[1:].tolist(), len(frame)]
    stretches = list(zip(starts.tolist(), ends, strict=True))
    values = [column for column in source.values if column in frame]
    arrays = {
        column: [packed.add(whole[begin:end]) for begin, end in stretches]
        for column in [*source.places, *values]
        for whole in [frame[column].to_numpy()]
    }
    first = frame.iloc[starts]
    return {
        "facets": list(source.facets),
        "values": values,
        **{key: [_plain(value) for value in first[key].tolist()] for key in keys},
        "arrays": arrays,
        **({"text": _texts(frame, stretches)} if "symbol" in frame else {}),
    }


def _texts(frame: pd.DataFrame, stretches: list[tuple[int, int]]) -> list[list[str]]:
    """The symbols that were read at the steps of each measurement; empty where there are none."""
    symbols, unit = frame["symbol"].tolist(), frame["unit"].to_numpy()
    texts = []
    for begin, end in stretches:
        one = begin + int((unit[begin:end] == unit[begin]).sum())
        text = symbols[begin:one]
        texts.append(text if any(text) else [])
    return texts


def _plain(value: object) -> object:
    """A facet as JSON has it."""
    return None if isinstance(value, float) and math.isnan(value) else value
