"""The report of a model that gradscope did not build."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from gradscope.components import registry
from gradscope.errors import GradscopeError
from gradscope.plots._explorer import explorer
from gradscope.report.page import PAGE, Shown, draw_figure, environment, interactive
from gradscope.results.records import hardware, versions, write_atomically
from gradscope.results.tables import Tables, number

#: what captions say of many trials, and what it is for one model
_WORDS = (
    (
        (
            "How strongly the loss of the last answer alone depends on the state so many steps"
            " before it, as the natural logarithm of the gradient's norm"
        ),
        (
            "What arrives from the loss at the last step of a recurrence that hears it, followed"
            " back along that recurrence alone (other ways, by the layer above, attention or losses"
            " at earlier steps, are left out), as the natural logarithm of the gradient's norm"
        ),
    ),
    (
        "earlier, median over seeds and measured sequences, band from the least to the greatest.",
        "earlier, in the batch's first sequence (of a packed batch the longest).",
    ),
    ("first seed, median over measured sequences", "of the batch's first sequence"),
    (" Median over seeds, band from the least to the greatest.", ""),
    (": median over seeds, band from the least to the greatest", ""),
    ("median over seeds, band from the least to the greatest", "one line a recurrence"),
    (" A trial that diverged is shown at its last measurement.", ""),
    ("First seed of each configuration, last measurement.", "At the last recording."),
    (", first seed and sequence", ", first sequence"),
    (", first seed", ""),
    ("over trials", "over recurrences"),
    ("mean over seeds and", "mean over"),
    ("mean over seeds", "as measured"),
    ("median over seeds and measured sequences", "median over the measured sequences"),
    ("over seeds and sequences", "over sequences"),
    ("over seeds", "over recordings"),
    ("at the end of training", "at the last recording"),
    ("end of training", "at the last recording"),
    ("before training", "at the first recording"),
    ("each configuration", "each recurrence"),
    ("configuration", "recurrence"),
    ("the loss (mean over scored steps and batch)", "the loss"),
)


def write_attached_report(
    tables: Tables,
    findings: Sequence[Mapping[str, Any]],
    looked_at: Sequence[str],
    notes: Sequence[str],
    places: Sequence[Mapping[str, Any]],
    folder: Path,
    tried: pd.DataFrame | None = None,
    tried_caption: str = "",
) -> Path:
    """Figures (SVG, PNG, CSV), tables (Parquet), ``findings.json`` and ``index.html`` in
    ``folder``; returns the page's path.

    Args:
        tables: of ``Scope.tables``.
        findings: ranked: name, where, says, severity, confidence, evidence, figure, remedies (what,
            measured).
        looked_at: kinds of illness that were looked for.
        notes: what the reader should know.
        places: place, kind, and names of its recurrences.
        folder: to write to.
        tried: one row for each remedy that was tried.
        tried_caption: how.

    Raises:
        GradscopeError: if the folder holds something else.
    """
    check_folder(folder)
    plots = [
        registry.get("plot", name)(**({"of": "state"} if name == "traced_back" else {}))
        for name in registry.names("plot")
    ]
    plots = sorted(
        (p for p in plots if p.name not in _OF_TRAINING and not p.missing(tables)),
        key=lambda plot: plot.order,
    )
    figures = [_worded(draw_figure(plot, tables, folder / "figures")) for plot in plots]
    drawn = {figure.name for figure in figures if not figure.problem}
    steps = sorted(
        {int(step) for frame in tables.values() for step in frame["train_step"].unique()}
    )
    page = (
        environment()
        .get_template("attached.html")
        .render(
            title=tables.manifest["name"],
            findings=_shown(findings, drawn),
            looked_at=[name.replace("_", " ") for name in looked_at],
            notes=notes,
            places=places,
            figures=figures,
            explorer=interactive(explorer(tables)),
            steps=steps if len(steps) <= 12 else [*steps[:3], "…", *steps[-3:]],
            hardware=hardware(),
            versions=versions(),
            tried=(
                None
                if tried is None
                else {"columns": list(tried.columns), "rows": tried.to_numpy().tolist()}
            ),
            tried_caption=tried_caption,
        )
    )
    for name, frame in tables.items():
        write_atomically(folder / "tables" / f"{name}.parquet", frame.to_parquet(index=False))
    write_atomically(
        folder / "findings.json", json.dumps(list(findings), indent=1, default=str).encode()
    )
    write_atomically(folder / PAGE, page.encode())
    return folder / PAGE


#: figures of a whole training, which an attached model's tables do not hold as they need
_OF_TRAINING = frozenset(
    {"clipping", "learning_curves", "success_vs_length", "other_lengths", "language", "league"}
)


def check_folder(folder: Path) -> None:
    """Whether a report may be written there; the folder is made.

    Raises:
        GradscopeError: if it holds something else, or cannot be written.
    """
    if folder.exists() and (
        not folder.is_dir() or (any(folder.iterdir()) and not (folder / "findings.json").exists())
    ):
        raise GradscopeError(f"{folder}: exists and holds something else; give another directory")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GradscopeError(
            f"{folder}: cannot be written: {error.strerror or error}; give another directory"
        ) from None


def _shown(findings: Sequence[Mapping[str, Any]], drawn: set[str]) -> list[dict[str, Any]]:
    """As the page needs them; remedies that an earlier finding has as well are named by its number."""
    found, said = [], {}
    for rank, finding in enumerate(findings, 1):
        says, key = (
            finding["says"],
            tuple((remedy["what"], remedy["measured"]) for remedy in finding["remedies"]),
        )
        found.append(
            {
                **finding,
                "name": finding["finding"].replace("_", " "),
                "says": says[0].upper() + says[1:],
                "evidence": {
                    name.replace("_", " "): number(value)
                    for name, value in finding["evidence"].items()
                },
                "figure": finding["figure"] if finding["figure"] in drawn else "",
                "as_for": said.setdefault(key, rank),
            }
        )
    return found


def _worded(shown: Shown) -> Shown:
    caption = shown.caption
    for of_many, of_one in _WORDS:
        caption = caption.replace(of_many, of_one)
    return dataclasses.replace(shown, caption=caption)
