"""The report of a model that gradscope did not build."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from gradscope.diagnosis import Advice, Diagnosis
from gradscope.errors import GradscopeError
from gradscope.findings import Finding
from gradscope.plots import PLOTS
from gradscope.report import Shown, draw_figure, explorer_html, write_page
from gradscope.results.files import strict_json, write_atomically
from gradscope.results.provenance import hardware, versions
from gradscope.results.tables import Tables
from gradscope.scope._given import RecordedPlace, Tried

_TEMPLATE = Path(__file__).with_name("recording.html")
#: the file by which such a report's folder is known
_FINDINGS = "findings.json"


@dataclass(frozen=True)
class ShownFinding:
    """A finding as the page needs it.

    Attributes:
        name: in words.
        where: the recurrence.
        says: as a sentence.
        severity: 0 to 1.
        confidence: 0 to 1.
        evidence: numbers in print, by name in words.
        figure: that shows it, if it was drawn.
        remedies: the best first.
        as_for: rank of the first finding with the same remedies.
    """

    name: str
    where: str
    says: str
    severity: float
    confidence: float
    evidence: dict[str, str]
    figure: str
    remedies: list[Advice]
    as_for: int


def write_recording_report(
    folder: Path,
    *,
    title: str,
    tables: Tables,
    diagnosis: Diagnosis,
    notes: Sequence[str],
    places: Sequence[RecordedPlace],
    tried: Tried | None,
) -> Path:
    """Write figures (SVG, PNG, CSV), tables (Parquet), ``findings.json`` and ``index.html``.

    Args:
        folder: to write to.
        title: of the page.
        tables: what was measured.
        diagnosis: of the last recording.
        notes: what the reader should know.
        places: what was watched.
        tried: remedies that were tried.

    Returns:
        The page's path.

    Raises:
        GradscopeError: if the folder holds something else, or cannot be written.
    """
    check_folder(folder)
    figures = _drawn(tables, folder / "figures")
    for name, frame in tables.items():
        write_atomically(folder / "tables" / f"{name}.parquet", frame.to_parquet(index=False))
    write_atomically(folder / _FINDINGS, strict_json(diagnosis.as_json()).encode())
    content = {
        "title": title,
        "findings": _findings(diagnosis, figures),
        "looked_at": [name.replace("_", " ") for name in diagnosis.looked_at],
        "notes": notes,
        "places": places,
        "figures": figures,
        "explorer": explorer_html(tables),
        "steps": _steps(tables),
        "hardware": hardware(),
        "versions": versions(),
        "tried": None if tried is None else _cells(tried.formatted()),
        "tried_caption": "" if tried is None else tried.caption,
    }
    return write_page(_TEMPLATE, folder, content)


def check_folder(folder: Path) -> None:
    """Make the folder, if a report may be written to it.

    Raises:
        GradscopeError: if it holds something else, or cannot be written.
    """
    taken = folder.exists() and (
        not folder.is_dir() or (any(folder.iterdir()) and not (folder / _FINDINGS).exists())
    )
    if taken:
        raise GradscopeError(f"{folder}: exists and holds something else; give another directory")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GradscopeError(
            f"{folder}: cannot be written: {error.strerror or error}; give another directory"
        ) from None


def _drawn(tables: Tables, folder: Path) -> list[Shown]:
    """Every figure of recordings whose tables are there, in the plots' own order."""
    plots = [plot for plot in PLOTS.classes() if plot.of_recordings and not plot.missing(tables)]
    return [
        draw_figure(plot.model_validate(dict(plot.scope_options)), tables, folder)
        for plot in sorted(plots, key=lambda plot: plot.order)
    ]


def _findings(diagnosis: Diagnosis, figures: Sequence[Shown]) -> list[ShownFinding]:
    """Remedies that an earlier finding has as well are named by its rank."""
    drawn = {figure.name for figure in figures if not figure.problem}
    ranks: dict[tuple[Advice, ...], int] = {}
    shown = []
    for rank, finding in enumerate(diagnosis.findings, 1):
        remedies = diagnosis.advice(finding)
        as_for = ranks.setdefault(tuple(remedies), rank)
        shown.append(_shown(finding, remedies, as_for, drawn))
    return shown


def _shown(finding: Finding, remedies: list[Advice], as_for: int, drawn: set[str]) -> ShownFinding:
    return ShownFinding(
        name=finding.kind,
        where=finding.where,
        says=finding.sentence,
        severity=finding.severity,
        confidence=finding.confidence,
        evidence=finding.numbers,
        figure=finding.figure if finding.figure in drawn else "",
        remedies=remedies,
        as_for=as_for,
    )


def _steps(tables: Tables) -> list[object]:
    """The train steps that were recorded; of many the first and the last few."""
    columns = [frame["train_step"] for frame in tables.values()]
    steps = sorted({int(step) for column in columns for step in column.unique()})
    return list(steps) if len(steps) <= 12 else [*steps[:3], "…", *steps[-3:]]


def _cells(frame: pd.DataFrame) -> dict[str, Sequence[object]]:
    """A table as the page needs it."""
    return {"columns": list(frame.columns), "rows": frame.to_numpy().tolist()}
