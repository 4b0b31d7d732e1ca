"""Runs that every figure is drawn from, and tables made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from gradscope.components.identity import sha256
from gradscope.experiment import Experiment
from gradscope.experiment.run import run_sweep
from gradscope.probes import PROBES
from gradscope.results import tables
from gradscope.results.manifest import TrialEntry
from gradscope.results.records import RunDirectory
from gradscope.results.run_comparison import RunComparison
from gradscope.results.tables import Tables
from gradscope.results.words import RECORDINGS, SWEEP, Words
from tests.conftest import Silent

#: the smallest run there is: one trial, no sweep, truncated
SINGLE = """
task: {name: copy_memory, length: 3}
cell: {name: gru, hidden_size: 4}
training: {steps: 4, batch_size: 2, tbptt_length: 5}
evaluation: {sequences: 5}
probes: [PROBES]
"""

#: language models beside another task, tested at other lengths as well: a run for every figure
TEXT = """
task: {name: char_lm, length: 20, ngram: 2, test_tokens: 500}
cell: {name: gru, hidden_size: 3}
training: {steps: 2, batch_size: 2}
evaluation: {lengths: [5, 30], sequences: 20}
probes: [PROBES]
sweep:
  problem:
    - {label: letters, task: {name: char_lm, length: 20, ngram: 2, test_tokens: 500}}
    - {label: sums, task: {name: adding, length: 20}}
  cell.name: [gru, lstm]
"""

#: several tasks, one with a length for each batch; configurations of different lengths; labels that
#: are markup
MIXED = """
question: "$x$ and [/b] and <i>"
task: {name: adding, length: 8}
cell: {name: rnn, hidden_size: 4}
training: {steps: 5, batch_size: 2}
evaluation: {every: 2, sequences: 5}
probes:
  - {name: adjoint_norms, every: 1}
  - {name: jacobian_norms, every: 1}
  - {name: memory_horizon, every: 1}
  - PROBES
sweep:
  what:
    - {label: "short $a$ [/b]", task.length: 8}
    - {label: "long_$", task: {name: temporal_order, length: 10, max_length: 16}}
    - {label: copy, task: {name: copy_memory, length: 2}}
"""


def _recorded(text: str, path: Path, separator: str = ", ") -> Tables:
    others = [name for name in PROBES.names() if f"name: {name}," not in text]
    experiment = Experiment.parse(text.replace("PROBES", separator.join(others)))
    run_sweep(experiment, RunDirectory(path), Silent())
    return tables.load(RunDirectory(path))


@pytest.fixture(scope="session")
def tiny(tiny_run: Path) -> Tables:
    return tables.load(RunDirectory(tiny_run))


@pytest.fixture(scope="session")
def compared(tiny_run: Path, tiny: Tables) -> Tables:
    """The tiny run beside itself."""
    manifest = RunDirectory(tiny_run).manifest()
    return RunComparison({"one": (manifest, tiny), "other": (manifest, tiny)}).tables


@pytest.fixture(scope="session")
def single(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return _recorded(SINGLE, tmp_path_factory.mktemp("runs") / "single")


@pytest.fixture(scope="session")
def text(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return _recorded(TEXT, tmp_path_factory.mktemp("runs") / "text")


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return _recorded(MIXED, tmp_path_factory.mktemp("runs") / "mixed", "\n  - ")


@pytest.fixture(scope="session")
def recordings(text: Tables) -> Tables:
    """The measurements of a run, as if they were recordings of one model."""
    measured = {name: text[name] for name in PROBES.names() if name in text}
    about = ["trial", "configuration", "length", "seed", "task", "train_step"]
    trials = text["memory_horizon"].drop_duplicates("trial")[about]
    heads = trials.assign(sequence=0).merge(_heads(), how="cross")
    return Tables({**measured, "heads": heads}, text.trials, words=RECORDINGS)


def _heads() -> pd.DataFrame:
    """Two heads, one of which remembers beyond the sequence."""
    columns = {
        "head": [0, 1],
        "horizon": [0.5, 40.0],
        "censored": [False, True],
        "longest": [8.0, 8.0],
        "eigenvalue_low": [0.1, 0.8],
        "eigenvalue_high": [0.4, 1.0],
        "open": [0.0, 0.5],
        "shut": [0.25, 0.0],
        "rank": [1.0, 3.0],
        "most": [4, 4],
        "rate": [-2.0, -0.025],
        "adjoint_log_ratio": [-16.0, -0.2],
    }
    return pd.DataFrame(columns)


@pytest.fixture(scope="session")
def headed() -> Tables:
    """A run of one cell with two heads."""
    return made(heads={"sequence": 0, **_heads().to_dict("list")})


def made(words: Words = SWEEP, **frames: Mapping[str, object]) -> Tables:
    """Tables of these columns; those not given are of one trial of a configuration called a."""
    about = {"configuration": "a", "length": 8, "seed": 0, "task": "adding", "train_step": 0}
    tables, entries = {}, {}
    for name, columns in frames.items():
        frame = pd.DataFrame({**about, **columns})
        keys = frame[["configuration", "task", "length", "seed"]]
        frame["trial"] = [sha256(list(key))[:12] for key in keys.itertuples(index=False)]
        tables[name] = frame
        for trial, rows in frame.groupby("trial", sort=False):
            row = rows.iloc[0]
            entries[trial] = TrialEntry(
                id=str(trial),
                configuration=row["configuration"],
                axes={
                    f"axis {place}": label
                    for place, label in enumerate(row["configuration"].split(" · "))
                },
                settings={
                    "task": {"name": row["task"], "length": int(row["length"])},
                    "seed": int(row["seed"]),
                },
            )
    return Tables(tables, list(entries.values()), words=words)
