"""A drawn report that tests may look at, and small runs to draw reports of."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gradscope.experiment import Experiment
from gradscope.experiment.run import run_sweep
from gradscope.report import write_report
from gradscope.report.document import Document, Grid, Heading, Paragraph, Terms
from gradscope.results.records import RunDirectory
from tests.conftest import Silent, made_once

#: a name that is markup in every format
ODD = "a_b *c* `d` $e$ <i>f</i> [g](h) #i |j| ~k~ @l = + - \\m"

#: an experiment that takes no time; sections may be added
SMALL = """
task: {name: adding, length: 4}
training: {steps: 2}
evaluation: {sequences: 5}
"""


@pytest.fixture(scope="session")
def drawn(
    tiny_run: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Callable[..., Path]:
    """Draws the tiny run's report in some formats, for all workers of a test session."""

    def folder(*formats: str) -> Path:
        def draw(copied: Path) -> None:
            shutil.copytree(tiny_run, copied)
            write_report(RunDirectory(copied), formats)

        return made_once("_".join(("tiny", *formats)), draw, tmp_path_factory, worker_id)

    return folder


@pytest.fixture(scope="session")
def page(drawn: Callable[..., Path]) -> Path:
    """The report of a copy of the tiny run."""
    return drawn("html") / "index.html"


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[..., RunDirectory]:
    """Runs the small experiment with more sections."""

    def run(more: str, name: str = "run") -> RunDirectory:
        directory = RunDirectory(tmp_path / name)
        run_sweep(Experiment.parse(SMALL + more, default_name=name), directory, Silent())
        return directory

    return run


@pytest.fixture(scope="session")
def reports(drawn: Callable[..., Path]) -> dict[str, Path]:
    """The tiny run's report in every format but the page."""
    pytest.importorskip("typst")
    kinds = ("md", "ipynb", "pdf")
    folder = drawn(*kinds)
    return {f".{kind}": folder / f"report.{kind}" for kind in kinds}


def all_of(words: str) -> Document:
    """A document with a block of each kind, all of the same words."""
    blocks = [Paragraph(words), Grid([words], [[words]]), Terms([(words, words)]), Heading(words)]
    return Document(words, blocks, "pass")
