"""What ``gradscope run --json`` prints: what became of every trial, for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gradscope.cli._group import EXIT_FAILED, EXIT_INTERRUPTED
from gradscope.errors import GradscopeError
from gradscope.results.manifest import Manifest
from gradscope.results.predictions import predictions
from gradscope.results.records import RunDirectory
from gradscope.results.tables import Tables, load, outcomes
from gradscope.results.verdict import verdict

#: of the document's form; it changes when something is renamed or taken away
_FORMAT = 1
_MEANINGS = {
    0: "all trials are recorded",
    EXIT_FAILED: "a trial failed for a cause other than divergence, or nothing could be written",
    EXIT_INTERRUPTED: "interrupted; the same command goes on from there",
}
#: columns of the table ``trials`` that are of the trial's outcome, and not of its settings
_MEASURES = ("cause", "steps", "steps_to_solve", "final_loss", "wrong_fraction", "baseline")
#: columns of what is expected beside what was measured
_EXPECTED = ("claim", "predicted", "measured", "difference", "held", "evident", "every", "result")


def document(
    runs: Sequence[tuple[RunDirectory, Path | None]], code: int, index: Path | None
) -> dict[str, object]:
    """The document.

    Args:
        runs: directories of experiments, in the order in which they were run, and their reports.
        code: with which the command ends.
        index: the page that links the reports of a folder.
    """
    return {
        "format": _FORMAT,
        "exit_code": code,
        "meaning": _MEANINGS.get(code, ""),
        "index": _path(index),
        "runs": [_run(directory, report) for directory, report in runs],
    }


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _run(directory: RunDirectory, report: Path | None) -> dict[str, object]:
    manifest = directory.manifest()
    content: dict[str, object] = {
        "name": manifest.name,
        "directory": str(directory.path),
        "report": _path(report),
        "recorded": len(directory.done()),
    }
    try:
        tables = load(directory) if directory.done() else None
        return {
            **content,
            "trials": _trials(directory, manifest, tables),
            "expectations": [] if tables is None else _expectations(manifest, tables),
            "verdict": [] if tables is None else verdict(tables, manifest.tasks),
        }
    except GradscopeError as error:  # damaged since it was recorded
        return {**content, "error": str(error), "trials": [], "expectations": [], "verdict": []}


def _trials(
    directory: RunDirectory, manifest: Manifest, tables: Tables | None
) -> list[dict[str, object]]:
    rows = [] if tables is None else tables["trials"].to_dict("records")
    recorded, failures = {row["trial"]: row for row in rows}, directory.failures()
    became = outcomes(directory, tables)
    found: list[dict[str, object]] = []
    for entry in manifest.trials:
        row, status = recorded.get(entry.id), became[entry.id]
        found.append(
            {
                "trial": entry.id,
                "configuration": entry.configuration,
                "axes": entry.axes,
                "status": status,
                "error": failures[entry.id]["error"] if status == "failed" else None,
                **{name: row.get(name) if row else None for name in _MEASURES},
                "settings": entry.settings,
            }
        )
    return found


def _expectations(manifest: Manifest, tables: Tables) -> list[dict[str, object]]:
    rows = predictions(tables, manifest.expect, manifest.tasks).to_dict("records")
    return [{name: row[name] for name in _EXPECTED} for row in rows]
