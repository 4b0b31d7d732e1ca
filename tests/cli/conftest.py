"""The command line as a newcomer meets it: a small experiment, and a way to call commands."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gradscope.cli import main
from tests.components.conftest import _forgotten_afterwards  # noqa: F401 - of every test here

GOOD = (
    "task: {name: adding, length: 4}\ncell: rnn\ntraining: {steps: 3}\n"
    "evaluation: {sequences: 5}\nsweep: {seed: [0, 1]}\n"
)

PLUGIN = '''
from matplotlib.figure import Figure

from gradscope.clips import Clip
from gradscope.clips import register as register_clip
from gradscope.plots import Plot
from gradscope.plots import register as register_plot


@register_clip("nothing_at_all")
class NothingAtAll(Clip):
    """Sets every gradient to zero."""

    def __call__(self, gradients, norm):
        for gradient in gradients:
            gradient.zero_()
        return norm.new_tensor(0.0)


@register_plot("last_losses")
class LastLosses(Plot):
    """The last loss of every trial."""

    requires = ("trials",)
    title = "Losses of my own"
    over = "trial"

    def data(self, tables):
        return tables["trials"][["trial", "final_loss"]]

    def draw(self, tables):
        figure = Figure()
        figure.subplots().plot(self.data(tables)["final_loss"])
        return figure

    def caption(self, tables):
        return "Mine."
'''


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    """An experiment file of two trials that take no time."""
    path = tmp_path / "small.yaml"
    path.write_text(GOOD, encoding="utf-8")
    return path


@pytest.fixture
def recorded(experiment: Path, tmp_path: Path) -> Path:
    """The run directory of that experiment, without a report."""
    path = tmp_path / "recorded"
    result = invoke("run", experiment, "--out", path, "--no-report")
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A file that registers the clip ``nothing_at_all`` and the plot ``last_losses``."""
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN, encoding="utf-8")
    return path


def invoke(*arguments: object) -> Result:
    """The result of ``gradscope`` with these arguments."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def refused(*arguments: object) -> str:
    """The one message by which a command refuses these arguments, with exit code 2."""
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("gradscope: ")
    assert len(result.stderr.strip().splitlines()) == 1
    return result.stderr


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Ctrl-C comes before the second trial; ``undo`` of what it gives lets it run."""
    from gradscope.experiment import run as runs

    record_all = runs.record_all

    def at_the_second(trials, run, device, advanced):
        if run.done():
            raise KeyboardInterrupt
        return record_all(trials, run, device, advanced)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "record_all", at_the_second)
        yield patch
