"""Trials trained as one program, one at a time, and by a loop that a user would write, one thread.

    python -m benchmarks.population.training [--cells rnn gru lstm] [--trials 1 8 64] [--json]

The adding problem, Adam, the gradient clipped by its global norm. The user's loop is torch.nn's
module with a Linear on its last step, torch.optim and clip_grad_norm_, on batches drawn as
gradscope draws them. Milliseconds of one update of one trial; the three take turns, and a ratio is
the median of those of the turns. gradscope's population is in groups of the size that it measures
to be fastest.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch

from benchmarks.timing import machine
from gradscope.experiment import Experiment, Trial
from gradscope.experiment.kin import kin
from gradscope.experiment.population import run_together
from gradscope.experiment.throughput import best_size
from gradscope.experiment.train import run_trial

MODULES = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
TEXT = """
task: {{name: adding, length: {time}}}
cell: {{name: {cell}, hidden_size: {hidden}}}
training: {{steps: {updates}, batch_size: {batch}, stop_on_success: false}}
evaluation: {{every: {updates}, sequences: 1}}
clip: global_norm
probes: [none]
sweep: {{seed: [{seeds}]}}
"""


def trials_of(cell: str, sizes: tuple[int, int, int], count: int, updates: int) -> list[Trial]:
    """So many trials of one experiment, which differ in their seed."""
    steps, batch, hidden = sizes
    seeds = ", ".join(map(str, range(count)))
    text = TEXT.format(
        cell=cell, time=steps, batch=batch, hidden=hidden, updates=updates, seeds=seeds
    )
    return list(Experiment.parse(text).trials)


def users_loop(cell: str, trial: Trial, updates: int, device: str) -> None:
    """One trial, as it is written without gradscope."""
    settings = trial.settings
    generator = torch.Generator().manual_seed(settings.seed)
    model = MODULES[cell](2, settings.cell.hidden_size).to(device)
    readout = torch.nn.Linear(settings.cell.hidden_size, 1).to(device)
    parameters = [*model.parameters(), *readout.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-3)
    for _ in range(updates):
        batch = settings.task.sample(settings.training.batch_size, generator)
        inputs, targets = batch.inputs.to(device), batch.targets.to(device)
        optimizer.zero_grad()
        loss = (readout(model(inputs)[0][-1]) - targets[0]).square().mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        loss.item()


def seconds(work: Callable[[], object], device: str) -> float:
    """How long this takes."""
    started = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def row(
    cell: str, sizes: tuple[int, int, int], count: int, device: str, turns: int
) -> dict[str, object]:
    """Milliseconds of an update of a trial in the three ways."""
    updates = 100
    trials = trials_of(cell, sizes, count, updates)
    size = best_size(trials, most=count, workers=1, device=device)
    groups = kin(trials, size)

    def together() -> None:
        for group in groups:
            if len(group) == 1:
                run_trial(group[0], device=device)
            else:
                list(run_together(group, device=device))

    ways: dict[str, tuple[Callable[[], object], int]] = {
        "together": (together, count),
        "alone": (lambda: run_trial(trials[0], device=device), 1),
        "user": (lambda: users_loop(cell, trials[0], updates, device), 1),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name, (work, number) in ways.items():
            taken = 1000 * seconds(work, device) / number / updates
            if turn:  # the first one warms up
                times[name].append(taken)
    pairs = zip(times["user"], times["together"], strict=True)
    middle = {name: statistics.median(taken) for name, taken in times.items()}
    ratio = statistics.median(user / ours for user, ours in pairs)
    return {"cell": cell, "sizes": sizes, "trials": count, "group": size, **middle, "gain": ratio}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cells", nargs="+", default=list(MODULES), choices=list(MODULES))
    parser.add_argument("--trials", nargs="+", type=int, default=[1, 8, 64])
    parser.add_argument("--sizes", nargs=3, type=int, default=[100, 20, 50])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    time_, batch, hidden = options.sizes
    rows = [
        row(cell, (time_, batch, hidden), count, options.device, options.turns)
        for cell in options.cells
        for count in options.trials
    ]
    if options.json:
        print(json.dumps({"machine": machine(options.device), "rows": rows}, indent=1))
        return
    print(machine(options.device))
    print(
        f"{'cell':<6}{'trials':>8}{'group':>7}{'together':>12}{'alone':>10}{'user':>10}{'gain':>7}"
    )
    for found in rows:
        times = "".join(f"{found[name]:>10.2f}" for name in ("together", "alone", "user"))
        print(f"{found['cell']:<6}{found['trials']:>8}{found['group']:>7}  {times}"
              f"{found['gain']:>7.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
