"""What the default probes cost: the quickstart's trials with and without them, the share of their
time that probes take.

    python -m benchmarks.recording_cost

Each configuration's first seed is trained as in experiments/quickstart.yaml; the share is the
seconds spent in probes over all seconds.
"""

from __future__ import annotations

import torch

from benchmarks.timing import machine
from gradscope.experiment import Experiment
from gradscope.experiment.train import run_trial


def main() -> None:
    torch.set_num_threads(1)
    print(machine())
    experiment = Experiment.load("quickstart")
    print(f"{'configuration':<20}{'steps':>7}{'seconds':>10}{'probes':>10}{'share':>8}")
    total = probes = 0.0
    for trial in experiment.trials:
        if trial.settings.seed == 0:
            outcome = run_trial(trial)
            seconds, steps = outcome.seconds, outcome.tables["trials"]["steps"][0]
            total, probes = total + seconds["total"], probes + seconds["probes"]
            print(
                f"{trial.configuration:<20}{steps:>7}{seconds['total']:>10.2f}"
                f"{seconds['probes']:>10.2f}{seconds['probes'] / seconds['total']:>8.1%}"
            )
    print(f"{'all':<27}{total:>10.2f}{probes:>10.2f}{probes / total:>8.1%}")


if __name__ == "__main__":
    main()
