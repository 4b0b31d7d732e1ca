"""What tests share: one thread, deterministic hypothesis, and a tiny recorded run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
import torch
from filelock import FileLock
from hypothesis import HealthCheck, settings

import gradscope
from gradscope.cells import CELLS, Cell
from gradscope.experiment import Experiment
from gradscope.experiment.run import run_sweep
from gradscope.results.records import RunDirectory

torch.set_num_threads(1)
settings.register_profile(
    "gradscope",
    deadline=None,
    derandomize=True,
    max_examples=15,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("gradscope")

#: loaded as plugins by commands in processes of their own
collect_ignore = ["own_components"]

TINY = """
question: Does it run?
answer: It does.
task: {name: adding, length: 12}
cell: {name: rnn, hidden_size: 6}
optimizer: {name: sgd, lr: 0.05}
training: {steps: 6, batch_size: 4}
evaluation: {every: 3, sequences: 20}
# what costs most is measured before and after the training alone
probes:
  - {name: non_normality, every: 6, kreiss: false}
  - {name: memory_horizon, every: 6}
  - {name: truncation_bias, every: 6}
  - {name: singular_values, every: 6}
  - {name: jacobian_norms, every: 6}
  - {name: lyapunov, every: 6}
  - {name: fixed_points, every: 6}
  - {name: path_contributions, every: 6}
  - grad_norms
  - adjoint_norms
  - spectra
  - saturation
  - lag_contributions
  - mean_field
  - traced_back
  - gates
  - input_gradients
sweep:
  network:
    - {label: tanh, cell: {name: rnn, activation: tanh}}
    - label: dead
      cell: {name: rnn, activation: hard_tanh, recurrent_init: {name: identity, std: 1e6}}
    - {label: diverging, cell: {name: rnn, activation: identity}, optimizer.lr: 1e30}
    - {label: LSTM, cell: lstm}
  clip: [none, {name: global_norm, max_norm: 0.1}]
  task.length: [8, 12]
  seed: [0, 1]
expect:
  - claim: tanh does not learn in six steps
    measure: success_rate
    configuration: tanh · none
    below: 0.5
  - {claim: no such thing, measure: final_loss, configuration: tanh · none, below: 0}
"""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What uses a report with all its figures is a test of the whole."""
    for item in items:
        if "drawn" in getattr(item, "fixturenames", ()):
            item.add_marker("whole")


class Silent:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}

    def advanced(self, trial: str, train_step: int, steps: int, loss: float) -> None:
        """Nothing."""

    def finished(self, trial: str, outcome: str) -> None:
        """Remember."""
        self.outcomes[trial] = outcome


def made_once(
    name: str,
    make: Callable[[Path], object],
    tmp_path_factory: pytest.TempPathFactory,
    worker_id: str,
) -> Path:
    """A folder that one worker of a test session makes for all."""
    root = tmp_path_factory.getbasetemp()
    path = (root if worker_id == "master" else root.parent) / name
    path.parent.mkdir(exist_ok=True)
    with FileLock(path.with_name(f"{path.name}.lock")):
        if not path.exists():
            make(making := path.with_name(f"making_{path.name}"))
            making.rename(path)
    return path


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Path]:
    """A recorded run that holds a solved-by-nobody, a dead, a diverged and a gated configuration.

    One for all workers of a test session; nobody changes it.
    """

    def record(folder: Path) -> None:
        experiment = Experiment.parse(TINY, default_name="tiny")
        outcomes = run_sweep(experiment, RunDirectory(folder), Silent())
        assert set(outcomes.values()) == {"unsolved", "diverged"}

    path = made_once("tiny_run/tiny", record, tmp_path_factory, worker_id)
    yield path
    assert {inner.name for inner in path.iterdir()} == {
        "ledger", "manifest.json", "tables", "timing"
    }, "a test has written into the run that all share"  # fmt: skip


def build(
    name: str, input_size: int = 3, hidden_size: int = 4, seed: int = 0, **options: object
) -> Cell:
    """A cell in float64 with every parameter drawn, biases too."""
    generator = torch.Generator().manual_seed(seed)
    chosen = CELLS.make({"name": name, "hidden_size": hidden_size, **options})
    cell = chosen.build(input_size, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.copy_(
                0.6 * torch.randn(parameter.shape, dtype=torch.float64, generator=generator)
            )
    return cell


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    """Standard normal numbers in float64."""
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="session")
def two_rates(tmp_path_factory: pytest.TempPathFactory) -> list[gradscope.Run]:
    """One experiment at two learning rates."""
    folder = tmp_path_factory.mktemp("rates")
    experiment = {
        "task": {"name": "adding", "length": 4},
        "training": {"steps": 2},
        "evaluation": {"sequences": 5},
        "probes": ["jacobian_norms"],
        "sweep": {"cell": ["rnn", "lstm"], "seed": [0, 1]},
    }
    return [
        gradscope.run(
            experiment, out=folder / name, overrides={"optimizer.lr": rate}, progress=False
        )
        for name, rate in (("slow", 0.001), ("fast_<i>", 0.1))
    ]
