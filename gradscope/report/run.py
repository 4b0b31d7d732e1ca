"""The report of a run: figures on disk, and one page that works offline."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from gradscope.errors import ConfigError
from gradscope.plots import PLOTS, Plot
from gradscope.report.explorer import explorer_html
from gradscope.report.figures import Shown, draw_figure, undrawn
from gradscope.report.templates import write_page
from gradscope.results.effects import effects
from gradscope.results.files import write_atomically
from gradscope.results.formats import share
from gradscope.results.manifest import Manifest, TaskAbout
from gradscope.results.phrases import p_value
from gradscope.results.predictions import predictions
from gradscope.results.records import RunDirectory
from gradscope.results.spreadsheets import csv_of
from gradscope.results.statistics import STRONG
from gradscope.results.summary import formatted, summary
from gradscope.results.tables import Tables, load
from gradscope.results.telling import telling
from gradscope.results.verdict import verdict
from gradscope.results.yardstick import Yardstick, yardstick

_TEMPLATE = Path(__file__).with_name("run.html")
#: rows of the summary that are shown unasked
_ROWS = 30


def write_report(run: RunDirectory, folder: Path | None = None) -> Path:
    """Draw all figures of a run and write its ``index.html``; returns the page's path.

    Writes ``summary.csv`` and ``figures/`` as well.

    Args:
        run: what is recorded so far; trials may still be running.
        folder: where to write; None is the run directory.

    Raises:
        RunDirectoryError: if no trial is recorded yet, or a file is damaged.
    """
    tables, manifest = load(run), run.manifest()
    folder = run.path if folder is None else folder
    table = summary(tables, manifest.tasks)
    write_atomically(folder / "summary.csv", csv_of(table).encode())
    trials = tables["trials"]
    diverged = trials[trials["outcome"] == "diverged"]
    judged = yardstick(tables, manifest.tasks)
    content = {
        "title": manifest.name,
        "run": manifest,
        "recorded": len(trials),
        "failures": run.failures(),
        "verdict": verdict(tables, manifest.tasks),
        "strong": f"{math.exp(STRONG):.0f}",
        "expectations": predictions(tables, manifest.expect, manifest.tasks).to_dict("records"),
        "summary": formatted(_shown(table, tables), manifest.tasks),
        "whole_summary": formatted(table, manifest.tasks) if len(table) > _ROWS else None,
        "judged": judged.measure.title,
        "where": tables.where,
        "effects": _effects(tables, judged),
        "causes": diverged[["configuration", "length", "seed", "steps", "cause"]].to_dict(
            "records"
        ),
        "task": _in_words(manifest.tasks),
        "figures": _figures(manifest, tables, folder / "figures"),
        "explorer": explorer_html(tables),
        "cost": Cost.of(tables),
    }
    return write_page(_TEMPLATE, folder, content)


def _shown(table: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """The summary's rows that are shown unasked."""
    if len(table) <= _ROWS:
        return table
    return table[table["configuration"].isin(telling(tables))]


def _effects(tables: Tables, judged: Yardstick) -> list[dict[str, str]]:
    """What the swept axes explain, in print."""
    return [
        {
            "term": str(row["term"]),
            "share": share(row["share"]),
            "p": "–" if math.isnan(row["p"]) else p_value(row["p"]),
        }
        for row in effects(tables, judged).to_dict("records")
    ]


def _figures(manifest: Manifest, tables: Tables, folder: Path) -> list[Shown]:
    """The figures that the experiment names; else all that can be drawn from the tables."""
    if manifest.figures is not None:
        return [_named(value, tables, folder) for value in manifest.figures]
    drawable = [plot for plot in PLOTS.classes() if not plot.missing(tables)]
    return [draw_figure(plot(), tables, folder) for plot in sorted(drawable, key=_order)]


def _order(plot: type[Plot]) -> int:
    return plot.order


def _named(value: Mapping[str, object], tables: Tables, folder: Path) -> Shown:
    """A figure by its name and options; in the place of an unknown one, what is wrong."""
    try:
        plot = PLOTS.make(value)
    except ConfigError as error:
        name = str(value.get("name", "figure"))
        reason = f"{error.message}; a plot of your own is loaded with --with FILE"
        return undrawn(name, name.replace("_", " ").capitalize(), reason)
    return draw_figure(plot, tables, folder)


def _in_words(tasks: Mapping[str, TaskAbout]) -> dict[str, str]:
    """The tasks' names, what they ask, and what counts as solved and as wrong, for the page."""
    return {
        "names": ", ".join(tasks),
        "about": " ".join(task.about for task in tasks.values()),
        "criteria": "; ".join(task.criterion for task in tasks.values()),
        "wrong": " ".join(dict.fromkeys(task.wrong for task in tasks.values())),
    }


@dataclass(frozen=True)
class Cost:
    """Where the time of a run went.

    Attributes:
        total: seconds of all trials together.
        probes: per cent of them that probes took.
        evaluation: per cent of them that tests took.
    """

    total: float
    probes: float
    evaluation: float

    @classmethod
    def of(cls, tables: Tables) -> Cost:
        """Add up the seconds of all trials."""
        total, probes, evaluation = (
            sum((seconds.get(part, 0.0) for seconds in tables.seconds.values()), 0.0)
            for part in ("total", "probes", "evaluation")
        )
        whole = total or 1.0
        return cls(total, 100 * probes / whole, 100 * evaluation / whole)
