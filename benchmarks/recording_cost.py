"""What the default probes cost: the quickstart's trials with and without them, the share of their
time that probes take.

    python benchmarks/recording_cost.py

Each configuration's first seed is trained as in experiments/quickstart.yaml; the share is the
seconds spent in probes over all seconds.
"""

from __future__ import annotations

from pathlib import Path

import torch
from timing import machine

from gradscope.experiment import schema as config
from gradscope.experiment.train import run_trial


def main() -> None:
    torch.set_num_threads(1)
    print(machine())
    experiment = config.load(Path(__file__).parent.parent / "experiments" / "quickstart.yaml")
    print(f"{'configuration':<20}{'steps':>7}{'seconds':>10}{'probes':>10}{'share':>8}")
    total = probes = 0.0
    for trial in experiment.trials:
        if trial.settings.seed == 0:
            outcome = run_trial(trial)
            seconds = outcome.seconds
            total, probes = total + seconds["total"], probes + seconds["probes"]
            print(
                f"{trial.configuration:<20}{outcome.tables['trials']['steps'][0]:>7}{seconds['total']:>10.2f}"
                f"{seconds['probes']:>10.2f}{seconds['probes'] / seconds['total']:>8.1%}"
            )
    print(f"{'all':<27}{total:>10.2f}{probes:>10.2f}{probes / total:>8.1%}")


if __name__ == "__main__":
    main()
