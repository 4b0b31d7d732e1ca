"""Which trials train together."""

import pytest

from gradscope.cells import Cell, register
from gradscope.experiment import Experiment, Trial
from gradscope.experiment import kin as module
from gradscope.experiment.kin import arranged, check_population, kin, may_join

BASE = """
task: {name: adding, length: 9}
cell: {name: lstm, hidden_size: 5}
training: {steps: 700, batch_size: 3}
"""


def trials(text: str, **overrides: object) -> list[Trial]:
    return Experiment.parse(BASE + text, overrides=overrides).trials


def sizes(text: str, most: int = 100) -> list[int]:
    return [len(group) for group in kin(trials(text), most)]


@pytest.mark.parametrize(
    "axis",
    [
        "seed: [0, 1, 2]",
        "cell.recurrent_init: [uniform, orthogonal, identity]",
        "cell.forget_bias: [null, 0.0, 1.0]",
        "optimizer: [{name: adam, lr: 0.1}, {name: adam, beta1: 0.5}, {name: adam, lr: 0.2}]",
        "clip: [{name: value, max_value: 0.1}, {name: value, max_value: 1.5}, value]",
    ],
)
def test_trials_that_differ_in_numbers_train_together(axis):
    assert sizes(f"sweep: {{{axis}}}") == [3]


@pytest.mark.parametrize(
    "axis",
    [
        "task.length: [9, 10]",
        "cell: [gru, lstm]",
        "cell.hidden_size: [4, 5]",
        "optimizer: [adam, sgd]",
        "clip: [none, global_norm]",
        "training.batch_size: [3, 4]",
        "training.tbptt_length: [null, 3]",
        "model.layers: [1, 2]",
        "dtype: [float32, float64]",
        "evaluation.every: [10, 20]",
    ],
)
def test_trials_whose_operations_differ_do_not(axis):
    assert sizes(f"sweep: {{{axis}, seed: [0, 1]}}") == [2, 2]


def test_groups_are_divided_evenly():
    assert sizes("sweep: {seed: [0, 1, 2, 3, 4, 5, 6]}", most=3) == [3, 3, 1]
    assert sizes("sweep: {seed: [0, 1, 2, 3, 4, 5, 6, 7]}", most=5) == [4, 4]


def test_adjoints_that_are_changed_step_by_step_are_each_trials_own():
    assert sizes("clip: adjoint_norm\nsweep: {seed: [0, 1]}") == [1, 1]
    assert sizes("sweep: {seed: [0, 1], training.tbptt_random: [0.1]}") == [1, 1]


def test_a_cell_of_a_user_says_itself_that_its_weights_may_have_a_trial_axis():
    own = type(trials("")[0].settings.cell).made_class

    class Silent(own):
        """It inherits, and may use its parameters in ways that need two axes."""

    class Saying(own):
        """It has seen to them."""

        takes_trials = True

    settings = trials("")[0].settings
    for cell, joins in ((Silent, False), (Saying, True)):
        assert issubclass(cell, Cell)
        register(cell.__name__.lower())(cell)
        chosen = Experiment.parse(BASE, overrides={"cell": {"name": cell.__name__.lower()}})
        assert may_join(chosen.trials[0].settings) is joins
    assert may_join(settings)


def test_each_trains_alone_if_it_is_asked_for():
    several = trials("sweep: {seed: [0, 1, 2, 3]}")
    assert arranged(several, "off", workers=1, device="cpu") == [[trial] for trial in several]


def test_a_number_is_a_largest_group_whatever_the_workers():
    several = trials("sweep: {seed: [0, 1, 2, 3]}")
    assert [len(g) for g in arranged(several, 3, workers=4, device="cpu")] == [2, 2]


def test_what_is_fastest_is_measured_where_it_is_worth_it(monkeypatch):
    asked = []

    def best_size(group, *, most, workers, device):
        asked.append((len(group), most))
        return 2

    monkeypatch.setattr(module, "best_size", best_size)
    several = trials("sweep: {seed: [0, 1, 2, 3]}")
    assert [len(g) for g in arranged(several, "auto", workers=2, device="cpu")] == [2, 2]
    assert asked == [(4, 2)]
    short = trials("sweep: {seed: [0, 1, 2, 3]}", **{"training.steps": 10})
    assert [len(g) for g in arranged(short, "auto", workers=2, device="cpu")] == [1, 1, 1, 1]
    assert len(asked) == 1


@pytest.mark.parametrize("given", [0, -1, "many", True, 1.5])
def test_what_is_no_size_of_populations_is_refused(given):
    unchecked = getattr(check_population, "__wrapped__", check_population)
    with pytest.raises(ValueError, match="should be 'auto', 'off' or a number of trials, got"):
        unchecked(given)
