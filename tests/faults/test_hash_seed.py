"""Nothing depends on the order in which this process happens to keep its sets."""

import os
import subprocess
import sys

import pytest

from tests.faults.conftest import ROUND, many, tried

pytestmark = pytest.mark.faults

DRAWN = """
import hashlib, torch
from gradscope.experiment import Experiment
from gradscope.experiment.train import run_trial
from gradscope.tasks import TASKS

def small(task):
    content = {"task": {"name": task}, "cell": {"name": "lstm", "hidden_size": 3}}
    content |= {"training": {"steps": 1, "batch_size": 2}, "evaluation": {"sequences": 3}}
    return Experiment.of({**content, "probes": ["none", "grad_norms"]}).trials[0]

for task in TASKS.names():
    trial = small(task)
    tables = sorted((name, dict(rows)) for name, rows in run_trial(trial).tables.items())
    made = repr((trial.id, trial.draws, trial.settings.task.baseline, tables))
    print(task, hashlib.sha256(made.encode()).hexdigest())
"""


def test_no_task_depends_on_it():
    def digests(seed: int) -> str:
        done = subprocess.run(
            [sys.executable, "-c", DRAWN],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    expected = digests(0)
    assert len(expected.splitlines()) > 10
    first = 1 + (ROUND - 1) * many(50)
    for seed in range(first, first + many(50)):
        assert digests(seed) == expected
        tried("every task with another hash seed")
