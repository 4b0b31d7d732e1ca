"""One component of each kind from files outside gradscope, through every command that meets it.

Adding any kind of component is one file and edits no other: these are such files.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gradscope.components.registry import FOLDERS

pytestmark = pytest.mark.whole

HERE = Path(__file__).parent / "own_components"
#: kind to the name of the one component of it
OWN = {
    "cell": "leaky",
    "init": "halved",
    "task": "echo",
    "clip": "damped",
    "optimizer": "signs",
    "probe": "state_sizes",
    "plot": "state_size_curves",
    "finding": "always_there",
    "remedy": "tiny_lr",
}

EXPERIMENT = """
question: Does a component of one's own get everywhere?
task: {name: echo, length: 5}
cell: {name: leaky, leak: 0.25}
clip: {name: damped, factor: 0.9}
optimizer: {name: signs, lr: 0.02}
training: {steps: 4, batch_size: 4}
evaluation: {every: 2, sequences: 8}
probes: [state_sizes, jacobian_norms]
figures: [state_size_curves]
sweep:
  network:
    - {label: leaky}
    - {label: tanh, cell: {name: rnn, hidden_size: 8, recurrent_init: halved}}
  seed: [0, 1]
"""

MODEL = """
import torch
from torch import nn

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.out = nn.RNN(2, 4), nn.Linear(4, 1)

    def forward(self, x):
        return self.out(self.rnn(x)[0][-1])

def make():
    torch.manual_seed(0)
    return Model(), [(torch.randn(9, 3, 2), torch.randn(3, 1))]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: components, an experiment and a model."""
    folder = tmp_path_factory.mktemp("somewhere else")
    for name in OWN.values():
        shutil.copy(HERE / f"{name}.py", folder)
    (folder / "question.yaml").write_text(EXPERIMENT, encoding="utf-8")
    (folder / "model.py").write_text(MODEL, encoding="utf-8")
    return folder


def gradscope(folder: Path, *arguments: str, plugins: bool = True) -> subprocess.CompletedProcess:
    """A command in that folder, with all files loaded."""
    files = [part for name in OWN.values() for part in ("--with", f"{name}.py")]
    command = [sys.executable, "-m", "gradscope", *arguments, *(files if plugins else [])]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=200)


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    """The experiment, run by two workers."""
    result = gradscope(folder, "run", "question.yaml", "--workers", "2", "--no-report")
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "reports" / "question"


def test_there_is_one_of_every_kind():
    assert set(OWN) == set(FOLDERS)


def test_validate_knows_them_only_when_they_are_loaded(folder):
    assert (
        "ok, 4 trials of 2 configurations" in gradscope(folder, "validate", "question.yaml").stdout
    )
    without = gradscope(folder, "validate", "question.yaml", plugins=False)
    assert without.returncode == 2
    assert "question.yaml:10:11: figures[0].name: there is no plot called" in without.stderr


def test_run_records_what_they_measure_and_where_they_come_from(run):
    assert len(list((run / "tables" / "state_sizes").glob("*.parquet"))) == 4
    plugins = json.loads((run / "manifest.json").read_text())["plugins"]
    recorded = {Path(plugin["path"]).name: plugin for plugin in plugins}
    in_runs = [name for kind, name in OWN.items() if kind not in ("finding", "remedy")]
    assert set(recorded) == {f"{name}.py" for name in in_runs}
    assert all(len(plugin["sha256"]) == 64 for plugin in plugins)
    assert recorded["leaky.py"]["components"] == ["cell leaky"]


def test_report_draws_their_figure(folder, run):
    result = gradscope(folder, "report", str(run))
    assert result.returncode == 0, result.stderr
    page = (run / "index.html").read_text(encoding="utf-8")
    assert "Sizes of the state" in page
    assert "could not be drawn" not in page
    assert "Root mean square of the state, by configuration." in page
    assert (run / "figures" / "state_size_curves.csv").is_file()


def test_report_without_the_file_says_how_to_load_it(folder, run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    result = gradscope(folder, "report", str(copy), plugins=False)
    assert result.returncode == 0, result.stderr
    assert "--with FILE" in (copy / "index.html").read_text(encoding="utf-8")


def test_a_run_is_not_continued_with_a_changed_file(folder, run, tmp_path):
    changed = tmp_path / "changed"
    shutil.copytree(folder, changed)
    cell = changed / "leaky.py"
    cell.write_text(cell.read_text().replace("1 - self.leak", "0.5 - self.leak"))
    shutil.copy(cell, folder / "leaky.py")
    try:
        result = gradscope(folder, "run", "question.yaml", "--out", str(run))
    finally:
        shutil.copy(HERE / "leaky.py", folder / "leaky.py")
    assert result.returncode == 2
    assert "leaky.py" in result.stderr
    assert "another version of the cell leaky" in result.stderr


@pytest.mark.parametrize("kind", OWN)
def test_list_has_them(folder, kind, listing):
    name = OWN[kind]
    section = listing.split(f"\n{kind}\n")[1] if kind != "cell" else listing
    assert name in re.findall(r"\w+", section.split("\n\n")[0])


@pytest.fixture(scope="module")
def listing(folder: Path) -> str:
    """``gradscope list``."""
    return gradscope(folder, "list").stdout


def test_schema_has_them(folder):
    schema = json.loads(gradscope(folder, "schema").stdout)
    for kind, name in OWN.items():
        assert name in schema["$defs"][kind]["anyOf"][0]["enum"]


def test_diagnose_finds_reports_and_tries_with_them(folder, tmp_path):
    out = tmp_path / "out"
    result = gradscope(
        folder, "diagnose", "model.py:make", "--updates", "2", "--try", "1", "--try-updates", "2",
        "--fail-on", "always_there", "--out", str(out),
    )  # fmt: skip
    assert result.returncode == 1, result.stderr
    assert "1. always there at rnn" in result.stdout
    assert "take a millionth of the learning rate" in result.stdout
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "Root mean square of the state, by recurrence." in page
    assert 'href="#state_size_curves"' in page
