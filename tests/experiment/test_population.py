"""Trials that train together: each comes to what it comes to alone, whoever trains beside it."""

import numpy as np
import pytest

from gradscope.cells import CELLS
from gradscope.experiment import Experiment, Trial
from gradscope.experiment.kin import kin
from gradscope.experiment.outcome import Outcome
from gradscope.experiment.population import run_together
from gradscope.experiment.train import run_trial

BASE = """
task: {name: adding, length: 9}
cell: {name: gru, hidden_size: 5}
dtype: float64
training: {steps: 7, batch_size: 3}
evaluation: {every: 3, sequences: 10}
sweep:
  seed: [0, 1, 2]
"""


def trials(text: str = "", **overrides: object) -> list[Trial]:
    return Experiment.parse(BASE + text, overrides=overrides).trials


def together(several: list[Trial]) -> dict[str, Outcome]:
    return {trial.id: outcome for trial, outcome in run_together(several)}


def assert_alike(one: Outcome, other: Outcome) -> None:
    assert one.tables.keys() == other.tables.keys()
    for name, table in one.tables.items():
        for column, values in table.items():
            expected = other.tables[name][column]
            if isinstance(values[0], float):
                np.testing.assert_allclose(
                    values, expected, rtol=1e-9, atol=1e-10, err_msg=f"{name} {column}"
                )
            else:
                assert list(values) == list(expected), (name, column)


#: what does not rest on eigenvalues of nothing but rounding errors
PROBES = "\nprobes: [none, grad_norms, adjoint_norms, jacobian_norms, saturation]"

WAYS = {
    "plain": "",
    "optimizers": "  optimizer: [{name: adam, lr: 0.01}, {name: adam, lr: 0.003, beta1: 0.5}]",
    "sgd": "  optimizer: [{name: sgd, lr: 0.1, momentum: 0.9}, {name: sgd, lr: 0.01}]",
    "rmsprop": "  optimizer: [{name: rmsprop, lr: 0.01}, {name: rmsprop, lr: 0.003}]",
    "clips": "  clip: [{name: global_norm, max_norm: 0.1}, {name: global_norm, max_norm: 1.0}]",
    "percentiles": "  clip: [{name: autoclip, percentile: 50}, {name: autoclip, percentile: 20}]",
    "regularised": "  clip: [{name: omega, weight: 2.0}, {name: omega, weight: 0.1}]",
    "starts": "  cell.recurrent_init: [orthogonal, identity]",
    "truncated": "training: {steps: 7, batch_size: 3, tbptt_length: 4, tbptt_stride: 2}",
    "tokens": "task: {name: copy_memory, length: 3}",
    "embedded": "task: {name: copy_memory, length: 3}\nmodel: {embedding: learned, layers: 2}",
    "tied": "task: {name: parity, length: 6}\nmodel: {layers: 2}",
    "lengths that differ": "task: {name: adding, length: 20, placement: pascanu}",
    "language": "task: {name: char_lm, length: 8}\nmodel: {embedding: learned}",
    "longer": "evaluation: {every: 3, sequences: 10, lengths: [12, 15]}",
    "solved": "task: {name: latch, length: 4}\ntraining: {steps: 300, batch_size: 10}",
}


def of(way: str) -> list[Trial]:
    text = WAYS[way]
    if not text.startswith("  "):
        keys = [line.split(":")[0] for line in text.splitlines() if line]
        kept = [line for line in BASE.splitlines() if line.split(":")[0] not in keys]
        return Experiment.parse("\n".join([*kept, text]) + PROBES).trials
    return trials(text + PROBES)


@pytest.mark.parametrize("way", WAYS)
def test_each_comes_to_what_it_comes_to_alone(way):
    several = of(way)
    (group,) = kin(several, 100)
    assert group == several
    found = together(group)
    for trial in several:
        assert_alike(found[trial.id], run_trial(trial))


@pytest.mark.parametrize("name", CELLS.names())
def test_every_cell_trains_together(name):
    several = trials(PROBES, **{"cell.name": name, "cell.hidden_size": 4, "training.steps": 3})
    (group,) = kin(several, 100)
    found = together(group)
    for trial in several:
        assert_alike(found[trial.id], run_trial(trial))


def test_no_digit_depends_on_who_trains_beside_it():
    several = trials("  optimizer.lr: [0.01, 0.003]\nmodel: {layers: 2}" + PROBES)
    everyone = together(several)
    for group in (several[:1], several[1:3], several[3:]):
        for trial_id, outcome in together(group).items():
            assert_alike(outcome, everyone[trial_id])
