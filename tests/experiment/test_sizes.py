"""Sizes that no machine has are refused by name, at once."""

import pytest
import torch

from gradscope.cells import CELLS
from gradscope.errors import ConfigError
from gradscope.experiment import Experiment, sizes
from gradscope.experiment.model import build
from gradscope.experiment.seeding import weights
from gradscope.experiment.sizes import parts_of
from gradscope.inits import INITS
from gradscope.tasks import TASKS

SMALL = {"task": {"name": "adding", "length": 10}, "cell": "lstm"}


def settings_of(**changes):
    """Those of the only trial."""
    (trial,) = Experiment.of({**SMALL, **changes}).trials
    return trial.settings


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"cell": {"name": "lstm", "hidden_size": 10**9}},
            "cell.hidden_size: is 1,000,000,000, so",
        ),
        ({"cell": {"name": "rnn", "hidden_size": 10**30}}, "cell.hidden_size: is 1000000"),
        ({"cell": {"name": "indrnn", "hidden_size": 10**12}}, "cell.hidden_size: is 1,000,000,0"),
        ({"task": {"name": "adding", "length": 10**9}}, "task.length: is 1,000,000,000, so that"),
        (
            {"task": {"name": "temporal_order", "max_length": 10**10}},
            "task.max_length: is 10,000,000,000, so that",
        ),
        (
            {"task": {"name": "delayed_xor", "extra": 10**12}},
            "task.length: is 1,000,000,000,0",
        ),
        (
            {"task": {"name": "random_permutation", "alphabet_size": 10**10}},
            "task: its inputs have 10,000,000,000 numbers",
        ),
        ({"evaluation": {"sequences": 10**12}}, "evaluation.sequences: is 1,000,000,000,000, so"),
        ({"evaluation": {"lengths": [10**10]}}, "evaluation.lengths: is 10,000,000,000, so that"),
        ({"training": {"batch_size": 10**11}}, "training.batch_size: is 100,000,000,000, so that"),
        ({"training": {"tbptt_length": 10**15}}, "training.tbptt_length: is 1000000000000000; at"),
        ({"training": {"steps": 10**30}}, "training.steps: should be less than or equal to"),
        ({"model": {"layers": 10**6}}, "model.layers: should be less than or equal to 1000"),
        ({"probes": [{"name": "spectra", "every": 10**13}]}, "probes.spectra.every: is 100000"),
        ({"seed": 2**63}, "seed: should be less than"),
    ],
)
def test_absurd_sizes(changes, said):
    with pytest.raises(ConfigError) as caught:
        settings_of(**changes)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("task", TASKS.names())
def test_every_task_has_parts(task):
    parts = parts_of(settings_of(task={"name": task}))
    assert all(part.numbers > 0 for part in parts)


def test_a_seed_may_be_any_64_bit_number():
    assert settings_of(seed=2**63 - 1).seed == 2**63 - 1


def possible(cell, init):
    """The options of a cell with that start; None where there is no such option, or start."""
    try:
        return CELLS.make({"name": cell, "hidden_size": 12, **init})
    except ConfigError:
        return None


EVERY = [
    options
    for cell in CELLS.names()
    for init in ({}, *({"recurrent_init": name} for name in INITS.names()))
    if (options := possible(cell, init)) is not None
]


@pytest.mark.parametrize("options", EVERY, ids=repr)
def test_shapes_alone_tell_the_weights_of_every_cell(options):
    """Held against cells that are built."""
    built = options.build(5, generator=torch.Generator().manual_seed(0))
    counted = sizes._layer(options, 5)
    assert counted == sum(parameter.numel() for parameter in built.parameters())


def test_parts_are_those_that_a_trial_holds(monkeypatch):
    monkeypatch.setattr(sizes, "_CERTAINLY_FEW", 0)
    settings = settings_of(
        cell={"name": "gru", "hidden_size": 6},
        model={"layers": 3},
        training={"batch_size": 7},
        evaluation={"sequences": 20, "lengths": [30]},
    )
    model = build(settings, generator=weights(0))
    held, states, inputs, tests = (part.numbers for part in parts_of(settings))
    assert held == sum(parameter.numel() for parameter in model.stack.parameters())
    assert states == 10 * 7 * 6 * 3
    assert inputs == settings.task.sample(7, torch.Generator()).inputs.numel()
    assert tests == 20 * 30 * settings.task.input_size
