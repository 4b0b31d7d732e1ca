"""A sweep over many GPUs, simulated: what is waited for first, the driver, the store or the GPUs.

    python -m benchmarks.population.cluster [--workers 10 100 1000] [--trials 10000]

Three queues and nothing else. A worker trains a population of ``--group`` trials for
``--seconds``, spread log-normally. Each of its trials is then written as some files, by a store
that handles so many at once, each for so long; and the driver, which is one process, hands out
every trial and takes it in. How long the driver takes for a trial, and how many files of how many
bytes a trial is, are measured here first, on trials that train next to nothing; the rest is what
you say of your cluster.
"""

from __future__ import annotations

import argparse
import heapq
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from gradscope.experiment import Experiment
from gradscope.experiment import run as run_module
from gradscope.results.records import RunDirectory

TINY = """
task: {{name: adding, length: 2}}
cell: {{name: rnn, hidden_size: 1}}
training: {{steps: 1, batch_size: 1, stop_on_success: false}}
evaluation: {{sequences: 1}}
probes: [none]
sweep: {{seed: [{seeds}]}}
"""


class _Unwatched:
    """Nobody is told of progress."""

    def advanced(self, trial: str, train_step: int, steps: int, loss: float) -> None:
        """Nothing."""

    def finished(self, trial: str, outcome: str) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Measured:
    """What a trial costs beside its training.

    Attributes:
        driver: seconds to hand it out and take it in.
        writing: seconds of whoever trains it, nearly all of them to write it.
        files: that it writes, its ledger among them.
        size: their bytes.
    """

    driver: float
    writing: float
    files: float
    size: float


@dataclass(frozen=True)
class Cluster:
    """What is known of a cluster and a sweep.

    Attributes:
        workers: that train at once.
        trials: of the sweep.
        group: trials that one worker trains as one program.
        seconds: that a group trains, in the middle.
        spread: standard deviation of the logarithm of that.
        driver: seconds of the driver for each trial.
        files: that a trial writes.
        channels: files that the store handles at once.
        file_seconds: that it takes for each.
    """

    workers: int
    trials: int
    group: int
    seconds: float
    spread: float
    driver: float
    files: float
    channels: int
    file_seconds: float


@dataclass(frozen=True)
class Simulated:
    """What a simulation came to.

    Attributes:
        seconds: from the first group to the last record.
        training: share of the workers' time that is training.
        driver: share of the time that the driver is busy.
        store: share of the time that a channel of the store is.
    """

    seconds: float
    training: float
    driver: float
    store: float


def measured(trials: int = 200) -> Measured:
    """Run trials that train next to nothing, in this process."""
    inside, record_all = 0.0, run_module.record_all

    def timed(*arguments: object) -> Iterator[tuple[str, str]]:
        nonlocal inside
        started = time.perf_counter()
        outcomes = [*record_all(*arguments)]
        inside += time.perf_counter() - started
        yield from outcomes

    seeds = ", ".join(map(str, range(trials)))
    experiment = Experiment.parse(TINY.format(seeds=seeds), default_name="tiny")
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory(Path(folder) / "run")
        started = time.perf_counter()
        with patch.object(run_module, "record_all", timed):
            run_module.run_sweep(experiment, run, _Unwatched(), population="off")
        seconds = time.perf_counter() - started - inside
        done = run.done()
        sizes = [path.stat().st_size for path in run.path.rglob("*") if path.stem in done]
    return Measured(seconds / trials, inside / trials, len(sizes) / trials, sum(sizes) / trials)


def simulated(cluster: Cluster, seed: int = 0) -> Simulated:
    """Go from event to event until every trial is recorded."""
    chance = random.Random(seed)
    left = -(-cluster.trials // cluster.group)
    files = round(cluster.files * cluster.group)
    channels = [0.0] * cluster.channels
    driver_free = trained = end = 0.0
    driver_busy = stored = 0.0
    # a worker asks for a group (False), or has trained one (True)
    events = [(0.0, number, False) for number in range(cluster.workers)]
    while events:
        now, worker, is_over = heapq.heappop(events)
        if is_over:
            for _ in range(files):
                now_stored = max(heapq.heappop(channels), now) + cluster.file_seconds
                heapq.heappush(channels, now_stored)
                stored += cluster.file_seconds
                end = max(end, now_stored)
            heapq.heappush(events, (now_stored, worker, False))
        elif left:
            left -= 1
            driver_free = max(driver_free, now) + cluster.driver * cluster.group
            driver_busy += cluster.driver * cluster.group
            lasts = cluster.seconds * chance.lognormvariate(0, cluster.spread)
            trained += lasts
            heapq.heappush(events, (driver_free + lasts, worker, True))
    return Simulated(
        end,
        trained / (end * cluster.workers),
        driver_busy / end,
        stored / (end * cluster.channels),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", nargs="+", type=int, default=[10, 100, 1000])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--group", nargs="+", type=int, default=[1, 16])
    parser.add_argument("--seconds", nargs="+", type=float, default=[10.0, 600.0])
    parser.add_argument("--spread", type=float, default=0.5)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--file-seconds", type=float, default=0.02)
    options = parser.parse_args()
    found = measured()
    print(
        f"measured here, of a trial: {1000 * found.driver:.2f} ms of the driver, "
        f"{1000 * found.writing:.1f} ms to write it, {found.files:.1f} files, "
        f"{found.size / 1024:.1f} KiB"
    )
    print(f"{'workers':>8}{'group':>7}{'seconds':>9}{'in all':>10}{'training':>10}"
          f"{'driver':>8}{'store':>7}")  # fmt: skip
    for workers in options.workers:
        for group in options.group:
            for seconds in options.seconds:
                cluster = Cluster(
                    workers,
                    options.trials,
                    group,
                    seconds,
                    options.spread,
                    found.driver,
                    found.files,
                    options.channels,
                    options.file_seconds,
                )
                came = simulated(cluster)
                print(
                    f"{workers:>8}{group:>7}{seconds:>8.0f} s{came.seconds:>8.0f} s"
                    f"{came.training:>10.0%}{came.driver:>8.0%}{came.store:>7.0%}"
                )


if __name__ == "__main__":
    main()
