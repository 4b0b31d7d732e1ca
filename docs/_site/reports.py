"""The reports in ``reports/gallery``: those of the experiments that ship, as Markdown pages.

    python -m docs._site.reports            # runs what is missing, and writes all pages
    python -m docs._site.reports --write    # writes them from the runs that are there

Each is what ``gradscope report --format md`` writes, its figures as small pictures in the place of
SVG. The runs are kept in ``build/reports``; the pages are committed.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image

import gradscope
from docs._site.gallery import ROOT, small
from gradscope.report import write_report
from gradscope.results.records import RunDirectory

PAGES = ROOT / "reports" / "gallery"
RUNS = ROOT / "build" / "reports"
#: the quickstart, and an experiment for each axis of the mission: cell, activation, clip, window
EXPERIMENTS = ("quickstart", "activation", "clipping", "tbptt_length", "cell_type")
#: pixels of a picture's width
_WIDTH = 1000


def recorded(name: str, train: bool) -> RunDirectory:
    """The run of an experiment; what is missing of it is trained."""
    path = ROOT / "experiments" / f"{name}.yaml"
    out = RUNS / hashlib.sha256(path.read_bytes()).hexdigest()[:8] / name
    if train:
        gradscope.run(path, out=out, workers=2)
    return RunDirectory(out)


def write(name: str, run: RunDirectory) -> Path:
    """An experiment's page, with its pictures in a folder beside it."""
    pictures = PAGES / name
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        [report] = write_report(run, ["md"], Path(folder))
        text = report.read_text(encoding="utf-8").replace(f"`{folder}`", f"`reports/{name}`")
        for drawn in sorted(Path(folder, "figures").glob("*.png")):
            with Image.open(drawn) as picture:
                size = _WIDTH, round(picture.height * _WIDTH / picture.width)
                shrunk = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
            small(shrunk, pictures / drawn.name)
            text = text.replace(f"(figures/{drawn.stem}.svg)", f"({name}/{drawn.name})")
    page = PAGES / f"{name}.md"
    page.write_text(text, encoding="utf-8")
    return page


if __name__ == "__main__":
    for experiment in EXPERIMENTS:
        print(write(experiment, recorded(experiment, train="--write" not in sys.argv)))
