"""The page that links the reports of a folder of experiments."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradscope.report.page import PAGE, environment
from gradscope.results import tables
from gradscope.results.records import RunDirectory, write_atomically

#: the figure that stands for a report, the first that it has
_FACES = (
    "traced_text",
    "language",
    "league",
    "gates",
    "other_lengths",
    "gradient_vs_lag",
    "learning_curves",
    "success_vs_length",
)


def write_index(folder: Path, runs: Sequence[Path], title: str) -> Path:
    """Write ``index.html`` into the folder; returns its path.

    Args:
        folder: where the page goes.
        runs: run directories with a report; those without a recorded trial are left out.
        title: heading of the page.
    """
    entries = [_entry(RunDirectory(run), folder) for run in runs if RunDirectory(run).done()]
    page = (
        environment()
        .get_template("index.html")
        .render(title=title.replace("_", " "), entries=entries)
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / PAGE, page.encode())
    return folder / PAGE


def _entry(run: RunDirectory, folder: Path) -> dict[str, Any]:
    loaded = tables.load(run)
    predictions = tables.held_against(loaded)
    link = Path(os.path.relpath(run.path, folder))
    face = next((name for name in _FACES if (run.path / "figures" / f"{name}.png").is_file()), None)
    return {
        "name": _words(loaded.manifest["name"]),
        "question": loaded.manifest.get("question", ""),
        "answer": loaded.manifest.get("answer", ""),
        "verdict": tables.verdict(loaded)[:3],
        "held": int((predictions["held"] == True).sum()),  # noqa: E712 - None is neither
        "on_average": int((predictions["held"] == True).sum() - predictions["every"].sum()),  # noqa: E712
        "predictions": len(predictions),
        "link": (link / PAGE).as_posix(),
        "figure": (link / "figures" / f"{face}.png").as_posix() if face else "",
        "face": (face or "").replace("_", " "),
    }


def _words(name: str) -> str:
    """``04_bptt_sum`` -> ``4. bptt sum``: a number in front of a file's name is its place in the
    folder.
    """
    place, _, rest = name.partition("_")
    return (
        f"{int(place)}. {rest}".replace("_", " ")
        if place.isdigit() and rest
        else name.replace("_", " ")
    )
