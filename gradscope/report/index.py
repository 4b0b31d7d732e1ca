"""The page that links the reports of a folder of experiments."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gradscope.plots import PLOTS
from gradscope.report.templates import PAGE, write_page
from gradscope.results.predictions import HELD, predictions
from gradscope.results.records import RunDirectory
from gradscope.results.tables import load
from gradscope.results.verdict import verdict

_TEMPLATE = Path(__file__).with_name("index.html")


@dataclass(frozen=True)
class Entry:
    """One report on the page.

    Attributes:
        name: the experiment's name, in words.
        question: what it asks.
        answer: the answer that is expected.
        verdict: the first sentences of its verdict.
        predictions: how many predictions it makes.
        held: how many of them held.
        evident: how many of those that held did so beyond chance.
        link: to the report.
        figure: address of the figure that stands for it; "" where there is none.
        figure_name: the figure's name, in words.
    """

    name: str
    question: str
    answer: str
    verdict: list[str]
    predictions: int
    held: int
    evident: int
    link: str
    figure: str
    figure_name: str


def write_index(folder: Path, runs: Sequence[Path], title: str) -> Path:
    """Write the ``index.html`` of a folder of runs; returns its path.

    Args:
        folder: where the page goes.
        runs: run directories; those without a recorded trial are left out.
        title: heading of the page.
    """
    recorded = [RunDirectory(run) for run in runs if RunDirectory(run).done()]
    entries = [_entry(run, folder) for run in recorded]
    return write_page(_TEMPLATE, folder, {"title": title.replace("_", " "), "entries": entries})


def _entry(run: RunDirectory, folder: Path) -> Entry:
    tables, manifest = load(run), run.manifest()
    frame = predictions(tables, manifest.expect, manifest.tasks)
    held = [bool(row["held"]) for row in frame.to_dict("records")]
    link = Path(os.path.relpath(run.path, folder))
    face = _face(run)
    return Entry(
        name=_in_words(manifest.name),
        question=manifest.question,
        answer=manifest.answer,
        verdict=verdict(tables, manifest.tasks)[:3],
        predictions=len(frame),
        held=sum(held),
        evident=int((frame["result"] == HELD).sum()),
        link=(link / PAGE).as_posix(),
        figure=(link / "figures" / f"{face}.png").as_posix() if face else "",
        figure_name=face.replace("_", " "),
    )


def _face(run: RunDirectory) -> str:
    """The figure that stands for a report, of those that it has; "" if none may."""
    ranks = {name: face for name in PLOTS.names() if (face := PLOTS.get(name).face) is not None}
    drawn = [name for name in ranks if (run.path / "figures" / f"{name}.png").is_file()]
    return min(drawn, key=lambda name: ranks[name], default="")


def _in_words(name: str) -> str:
    """A file's name as a heading; a number in front of it is its place in the folder.

    >>> _in_words("04_bptt_sum")
    '4. bptt sum'
    """
    place, _, rest = name.partition("_")
    if place.isdigit() and rest:
        return f"{int(place)}. {rest}".replace("_", " ")
    return name.replace("_", " ")
