"""A report as a list of blocks, for formats that are not the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd

from gradscope.report.contents import STRONG_FACTOR, Contents
from gradscope.report.figures import Shown
from gradscope.report.formulas import terms
from gradscope.report.templates import filled
from gradscope.results.manifest import Manifest, Provenance

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Heading:
    """Of a section."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Paragraph:
    """Running text; formulas are as ``formulas`` has them.

    Attributes:
        text: of it.
        soft: whether it explains what stands beside it.
    """

    kind: ClassVar[str] = "paragraph"
    text: str
    soft: bool = False


@dataclass(frozen=True)
class Bullets:
    """Sentences, each for itself."""

    kind: ClassVar[str] = "bullets"
    items: Sequence[str]


@dataclass(frozen=True)
class Grid:
    """A table in print; the first column names the rows.

    Attributes:
        columns: their headings.
        rows: cells, which may have several lines.
        words: whether the cells are words; numbers stand to the right.
        folded: what stands in its place where a format can fold it; "" is always open.
    """

    kind: ClassVar[str] = "grid"
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: bool = False
    folded: str = ""


@dataclass(frozen=True)
class Terms:
    """Terms, and what is said of each."""

    kind: ClassVar[str] = "terms"
    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class FigureBlock:
    """A figure under its own heading, or what stands in its place."""

    kind: ClassVar[str] = "figure"
    shown: Shown


Block = Heading | Paragraph | Bullets | Grid | Terms | FigureBlock


@dataclass(frozen=True)
class Document:
    """A report in any format.

    Attributes:
        title: of it.
        blocks: from top to bottom.
        opening: Python by which a notebook opens what the report is of, into the name ``run``.
    """

    title: str
    blocks: Sequence[Block]
    opening: str


def run_document(contents: Contents, path: str = ".") -> Document:
    """The report of a run.

    Args:
        contents: what it says.
        path: of the run directory, from where the report goes.
    """
    blocks = [*_found(contents), *_numbers(contents), *map(FigureBlock, contents.figures)]
    opening = f"import gradscope\n\nrun = gradscope.open_run({path!r})"
    return Document(contents.title, [*blocks, *_background(contents)], opening)


def grid(frame: pd.DataFrame, *, words: bool = False) -> Grid:
    """A table of strings."""
    rows = [[str(cell) for cell in row] for row in frame.itertuples(index=False)]
    return Grid([str(column) for column in frame.columns], rows, words)


def _found(contents: Contents) -> Iterator[Block]:
    """What was asked, and what came."""
    run = contents.run
    if run.question:
        yield Paragraph(run.question)
    if run.answer:
        yield Paragraph(f"Expected: {run.answer}")
    if run.source:
        yield Paragraph(f"Source: {run.source}", soft=True)
    yield Heading("What was found")
    yield Bullets(contents.verdict)
    if contents.recorded < len(run.trials):
        yield Paragraph(f"{contents.recorded} of {len(run.trials)} trials are recorded so far.")
    yield Paragraph(
        "In brackets are 95% intervals over seeds, and n where there is but one. ×0.5 is half as "
        "much. No evidence means that so few seeds may differ as much by chance, not that there "
        f"is no difference. Vanishes: the norm falls by a factor of {STRONG_FACTOR} or more in "
        "every seed; explodes: it grows by as much.",
        soft=True,
    )
    if contents.failures:
        count = len(contents.failures)
        yield Paragraph(f"{count} trial{'s' * (count > 1)} failed, missing below:")
        yield Bullets([f"{key}: {failure['error']}" for key, failure in contents.failures.items()])


def _numbers(contents: Contents) -> Iterator[Block]:
    """The tables."""
    if len(contents.expectations):
        yield Heading("Expected and measured")
        frame = contents.expectations
        columns = {
            "expected": frame["claim"],
            "bound": frame["predicted"],
            "measured": frame["measured"],
            "difference": frame["difference"].replace("", "–"),
            "result": frame["result"],
        }
        yield grid(pd.DataFrame(columns), words=True)
    yield Heading("Summary")
    task = contents.task
    about = f"Task: {task.names}. {task.about} Solved means: {task.criteria}."
    yield Paragraph(about, soft=True)
    yield grid(contents.summary())
    if contents.folded:
        count = len(contents.whole_summary)
        said = f"These are the best, the worst and as many between of {count} rows; summary.csv"
        yield Paragraph(f"{said} has all.", soft=True)
    if contents.effects:
        yield Heading("What the swept axes explain")
        rows = [[row["term"], row["share"], row["p"]] for row in contents.effects]
        yield Grid(["axis", "share of the variance", "p"], rows)
        judged, where = contents.judged.measure.title, contents.tables.where
        said = f"Of {judged}{where}, by sum of squares; p by the F-test with Holm's correction."
        yield Paragraph(said, soft=True)
    if len(contents.diverged):
        yield Heading("Diverged trials")
        yield grid(contents.diverged.rename(columns={"steps": "at train step"}), words=True)


def _background(contents: Contents) -> Iterator[Block]:
    """What words mean, and where the numbers come from."""
    yield Heading("Definitions")
    task = {"task": contents.task}
    yield Terms(terms(filled(_HERE / "run_definitions.html", task)))
    yield Heading("Methods")
    yield Terms(terms(filled(_HERE / "methods.html", {})))
    yield Heading("Provenance")
    yield Terms(provenance(contents))


def provenance(contents: Contents) -> list[tuple[str, str]]:
    """Where and with what a run was made."""
    run, cost = contents.run, contents.cost
    found = [("random numbers", run.sharing)] if run.sharing else []
    found.append(
        (
            "trials",
            f"{contents.recorded} of {len(run.trials)}, {cost.total:.0f} s of training in all; of "
            f"it {cost.probes:.1f}% for probes and {cost.evaluation:.1f}% for tests.",
        )
    )
    if run.trained_together:
        found.append(("trained together", run.trained_together))
    found += [(_since(stretch, run), _made_with(stretch)) for stretch in run.provenance]
    for plugin in run.plugins:
        components = ", ".join(plugin.components)
        found.append((plugin.path, f"{components}, SHA-256 {plugin.sha256[:12]}…"))
    return [*found, ("first started", run.created)]


def _since(stretch: Provenance, run: Manifest) -> str:
    return "run" if len(run.provenance) == 1 else f"since {stretch.since}"


def _made_with(stretch: Provenance) -> str:
    """Device, machine, versions and commit in one line."""
    hardware, versions = stretch.hardware, stretch.versions.items()
    said = ", ".join(f"{name} {version}" for name, version in versions)
    git = f"; working directory at git revision {stretch.git}" if stretch.git else ""
    processor = hardware.get("processor") or hardware.get("machine")
    machine = f"{processor}, {hardware.get('cpus')} CPUs, {hardware.get('system')}"
    return f"on {stretch.device}: {machine}; {said}{git}"
