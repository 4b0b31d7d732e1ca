"""The overview: what a run found, as one document of plain values, for programs."""

from __future__ import annotations

import inspect
import math

from gradscope.results.manifest import Manifest
from gradscope.results.measures import Group, Measure
from gradscope.results.predictions import predictions
from gradscope.results.records import RunDirectory
from gradscope.results.scales import Scale
from gradscope.results.summary import groups, measures_of
from gradscope.results.tables import Tables, load
from gradscope.results.verdict import verdict


def overview(run: RunDirectory) -> dict[str, object]:
    """Name, question, trials, summary, verdict, expectations and failures of a run.

    All of it is JSON. A number that is not known is None; one that is infinite is the text
    "Infinity" or "-Infinity", which Python's float and JavaScript's Number read.

    Args:
        run: a run directory; one without a recorded trial has an empty summary and no verdict.

    Returns:
        name, question, answer, source, created and directory;
        trials: recorded, and of how many;
        measures: name to what it is, its heading and unit, and its scale over seeds;
        summary: for each configuration and task length (None where the task has none) its number of
        trials, and of each measure value, low and high (its interval), n (the seeds that it is of),
        level (of the interval) and censored (whether it is only known to lie beyond value);
        verdict: sentences;
        expectations: claim, measured, predicted, difference, held, every, evident and result, as
        ``predictions`` gives them;
        failures: trial, and the error by which it failed.

    Raises:
        RunDirectoryError: if the directory is not a run's.
        DamagedError: if a file in it is not as it was written.
    """
    manifest = run.manifest()
    there = run.done() & {trial.id for trial in manifest.trials}
    tables = load(run) if there else None
    found = _found(tables, manifest) if tables is not None else _nothing()
    failures = [
        {"trial": trial, "error": str(failure["error"])}
        for trial, failure in run.failures().items()
    ]
    return {
        "name": manifest.name,
        "question": manifest.question,
        "answer": manifest.answer,
        "source": manifest.source,
        "created": manifest.created,
        "directory": str(run.path),
        "trials": {"recorded": len(there), "of": len(manifest.trials)},
        **found,
        "failures": failures,
    }


def _nothing() -> dict[str, object]:
    return {"measures": {}, "summary": [], "verdict": [], "expectations": []}


def _found(tables: Tables, manifest: Manifest) -> dict[str, object]:
    """What the tables hold."""
    measures = measures_of(tables, manifest.tasks)
    held = predictions(tables, manifest.expect, manifest.tasks)
    return {
        "measures": {measure.name: _about(measure) for measure in measures},
        "summary": [
            {
                "configuration": label,
                "length": None if length < 0 else length,
                "trials": len(group.trials),
                "measures": {measure.name: _estimate(measure, group) for measure in measures},
            }
            for (label, length), group in groups(tables).items()
        ],
        "verdict": verdict(tables, manifest.tasks),
        "expectations": [
            {str(key): _plain(value) for key, value in row.items()}
            for row in held.to_dict("records")
        ],
    }


def _about(measure: Measure) -> dict[str, str]:
    described = inspect.getdoc(measure.of) if measure.of.__doc__ else ""
    return {
        "about": (described or "").split("\n\n")[0].replace("\n", " "),
        "heading": measure.heading,
        "unit": measure.unit,
        "scale": measure.scale.value,
    }


def _estimate(measure: Measure, group: Group) -> dict[str, object]:
    """A measure of one group, with its interval where its scale has one."""
    estimate = measure.estimate(group)
    if not measure.scale.has_interval:
        return {"value": _plain(estimate.centre)}
    told: dict[str, object] = {
        "value": _plain(estimate.centre),
        "low": _plain(estimate.low),
        "high": _plain(estimate.high),
        "n": estimate.n,
        "level": _plain(estimate.level) if estimate.bounded else None,
    }
    return told | {"censored": estimate.censored} if measure.scale is Scale.DURATION else told


def _plain(value: object) -> object:
    """A value as JSON has it."""
    if value is None or isinstance(value, bool | str | int):
        return value
    if not isinstance(value, float):
        return bool(value)  # numpy's own
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value
