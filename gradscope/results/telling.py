"""Which of many configurations a figure names."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np

from gradscope.results.tables import Tables
from gradscope.results.yardstick import yardstick

#: configurations that colours and markers can still tell apart on one figure
MOST = 12


def telling(tables: Tables, most: int = MOST, among: Collection[str] | None = None) -> list[str]:
    """At most so many configurations, in the order of the sweep.

    Of more, the best, the worst and as many between, evenly spread over the ranks by what the run
    is judged by (see ``yardstick``). One model's recordings are not ranked: there they are the
    first, the last and as many between.

    Args:
        tables: of the run.
        most: how many.
        among: those that may be chosen; None is all.
    """
    labels = [label for label in tables.configurations if among is None or label in among]
    if len(labels) <= most:
        return labels
    ranked = [label for label in tables.once("ranked", lambda: _ranked(tables)) if label in labels]
    places = np.unique(np.linspace(0, len(ranked) - 1, most).round().astype(int))
    chosen = {ranked[place] for place in places}
    return [label for label in labels if label in chosen]


def _ranked(tables: Tables) -> list[str]:
    """The configurations from best to worst; those without a trial are left out."""
    if "trials" not in tables:
        return tables.configurations
    judged = yardstick(tables)
    centres: dict[str, float] = {}
    for (label, length), sample in judged.samples.items():
        if length == (-1 if tables.longest[label] is None else tables.longest[label]):
            centre = judged.measure.scale.estimate(sample).centre
            centres[label] = math.inf if math.isnan(centre) else centre
    return sorted(centres, key=lambda label: centres[label])
