"""The axis random: points that are drawn once, the same ones from the same file."""

import math

import pytest

from gradscope.components import marks
from gradscope.errors import ConfigError, ConfigErrors
from gradscope.experiment import Experiment
from gradscope.experiment.drawn import HOW, Range
from gradscope.experiment.sweep import without

BASE = "task: {name: adding, length: 20}\ncell: rnn\nclip: global_norm\n"
ALL = (
    "sweep:\n  random:\n    trials: {trials}\n    optimizer.lr: {log: [1e-4, 1e-1]}\n"
    "    cell.hidden_size: {int: [16, 128]}\n    cell.activation: {choice: [tanh, relu]}\n"
    "    clip.max_norm: {uniform: [0.1, 10]}\n"
)
SIZE = "cell.hidden_size: {int: [1, 9]}"


def settings(text):
    return [trial.settings for trial in Experiment.parse(BASE + text).trials]


def drawn(trials, more=""):
    """The trials of a sweep that draws from each kind of range."""
    return Experiment.parse(BASE + ALL.replace("{trials}", str(trials)) + more).trials


def mistakes(text):
    """What is wrong with a sweep, a line for each."""
    with pytest.raises(ConfigError) as caught:
        Experiment.parse(BASE + text, "file.yaml")
    error = caught.value
    return [str(one) for one in error.errors] if isinstance(error, ConfigErrors) else [str(error)]


# --- points ---------------------------------------------------------------------------------------


def test_points_are_within_their_ranges_and_spread_over_them():
    found = [trial.settings for trial in drawn(200)]
    rates = [one.optimizer.lr for one in found]
    assert all(1e-4 <= rate <= 1e-1 for rate in rates)
    # a quarter of 200 points is 50, with a standard deviation of 6.1
    for place in range(4):
        low, high = (1e-4 * 10 ** (3 * at / 4) for at in (place, place + 1))
        assert abs(sum(low <= rate < high for rate in rates) - 50) < 25
    norms = [one.clip.max_norm for one in found]
    assert abs(sum(norms) / 200 - 5.05) < 1.0  # five standard deviations of the mean: 0.2
    sizes = [one.cell.hidden_size for one in found]
    assert all(isinstance(size, int) and 16 <= size <= 128 for size in sizes)
    assert abs(sum(sizes) / 200 - 72) < 12
    assert 60 < sum(one.cell.activation == "relu" for one in found) < 140


def test_the_same_file_draws_the_same_points_and_more_trials_keep_them():
    first = drawn(5)
    assert [trial.id for trial in drawn(5)] == [trial.id for trial in first]
    assert [trial.id for trial in drawn(8)][:5] == [trial.id for trial in first]
    others = {trial.id for trial in drawn(5, "    seed: 1\n")}
    assert not others & {trial.id for trial in first}


def test_a_key_less_leaves_the_others_as_they_were():
    with_both = settings("sweep: {random: {trials: 4, optimizer.lr: {log: [1, 2]}, seed: 3, "
                         "cell.hidden_size: {int: [1, 1000]}}}")  # fmt: skip
    alone = settings("sweep: {random: {trials: 4, seed: 3, cell.hidden_size: {int: [1, 1000]}}}")
    assert [s.cell.hidden_size for s in with_both] == [s.cell.hidden_size for s in alone]


def test_the_points_are_what_they_were():
    """Recorded trials go on only while this holds."""
    labels = [trial.axes["random"] for trial in drawn(2)]
    assert labels == [
        "lr 0.000552, hidden size 41, tanh, max norm 2.813",
        "lr 0.057, hidden size 48, tanh, max norm 8.233",
    ]


def test_labels_say_the_point_and_other_axes_are_crossed_with_it():
    found = drawn(3, "  seed: [0, 1]\n")
    assert len(found) == 6
    assert [trial.axes["seed"] for trial in found] == ["seed 0", "seed 1"] * 3
    for trial in found:
        of, label = trial.settings, trial.configuration
        assert label == trial.axes["random"]
        assert label == (
            f"lr {of.optimizer.lr!r}, hidden size {of.cell.hidden_size}, {of.cell.activation}, "
            f"max norm {of.clip.max_norm!r}"
        )


def test_components_may_be_chosen():
    found = settings("sweep: {random: {trials: 2, clip: {choice: [none, {name: value, "
                     "max_value: 2.0}]}}}")  # fmt: skip
    assert sorted(one.clip.name for one in found) == ["none", "value"]


def test_as_many_points_as_there_are():
    found = settings("sweep: {random: {trials: 12, cell.hidden_size: {int: [1, 6]}, "
                     "cell.activation: {choice: [tanh, relu]}}}")  # fmt: skip
    assert len({(one.cell.hidden_size, one.cell.activation) for one in found}) == 12


@pytest.mark.parametrize(
    ("how", "low", "high", "many"),
    [
        ("log", 1e-4, 1e-1, 90), ("log", 1.0, 1.001, 90), ("log", 1e-300, 1e299, 90),
        ("log", 3, 700, 90), ("uniform", 0.1, 10, 900), ("uniform", -1e6, 1e6, 900),
        ("uniform", -1e299, 1e299, 900), ("uniform", 0.9999, 1.0001, 900), ("int", -3, 3, 7),
        ("int", 0, 10**18, 997), ("uniform", 0.0, 5e-324, 2),
        ("log", 1.0, math.nextafter(1.0, 2.0), 2),
        ("uniform", 1e20, math.nextafter(1e20, 1e21), 2),
    ],
)  # fmt: skip
def test_values_of_a_range_are_within_it_and_many(how, low, high, many):
    values = [Range(how, low, high, None).at(place / 997)[0] for place in range(997)]
    assert all(low <= value <= high for value in values)
    assert values == sorted(values)
    assert len(set(values)) >= many


def test_rounded_values_are_readable():
    assert [Range("log", 1e-4, 1e-1, None).at(share)[0] for share in (0.1, 0.7)] == [2e-4, 0.0126]
    assert Range("uniform", 0.1, 10, None).at(1 / 3)[0] == 3.4
    assert str(Range("uniform", -1, 1, None).at(0.49999)[0]) == "0.0"


# --- what is wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("random", "said"),
    [
        ("seed: 1", "sweep.random.trials: is missing; say how many points"),
        (f"trials: 0, {SIZE}", "random.trials: should be a whole number from 1 to 10,000, got 0"),
        (f"trials: 100001, {SIZE}", "from 1 to 10,000, got 100001"),
        (f"trials: true, {SIZE}", "from 1 to 10,000, got True"),
        (f"trials: 2, seed: -1, {SIZE}", "random.seed: should be a whole number from 0, got -1"),
        ("trials: 2", "draws nothing; give it a key"),
        ("trials: 2, hidden_size: {int: [1, 9]}", "did you mean 'cell.hidden_size'?"),
        ("trials: 2, cell.hiden_size: {int: [1, 9]}", "did you mean 'hidden_size'?"),
        ("trials: 2, seed2: {int: [1, 9]}", "did you mean 'seed'?"),
        ("trials: 2, optimizer.lr: [1, 9]", "should say how it is drawn: {log: [1e-4, 1e-1]}"),
        ("trials: 2, optimizer.lr: {uniform: [1, 9], log: [1, 9]}", "should say how it is drawn"),
        (
            "trials: 2, optimizer.lr: {logs: [1, 9]}",
            "cannot be drawn by 'logs'; did you mean 'log'",
        ),
        ("trials: 2, cell.hidden_size: {int: [1.5, 9]}", "should be two whole numbers"),
        ("trials: 2, optimizer.lr: {log: [0, 1]}", "should have bounds above 0, which have log"),
        ("trials: 2, optimizer.lr: {log: [1, 0.1]}", "the lower bound and then the higher one"),
        ("trials: 2, optimizer.lr: {uniform: [1, 1]}", "the lower bound and then the higher one"),
        ("trials: 2, optimizer.lr: {uniform: [0, .inf]}", "two numbers, as in {uniform: [0.1"),
        ("trials: 2, optimizer.lr: {uniform: [0, 1, 2]}", "should be two numbers"),
        ("trials: 2, optimizer.lr: {uniform: 3}", "should be two numbers"),
        ("trials: 2, optimizer.lr: {log: [low, high]}", "should be two numbers"),
        ("trials: 2, optimizer.lr: {log: [true, 3]}", "should be two numbers"),
        ("trials: 2, cell.activation: {choice: []}", "a list of values, as in {choice: [tanh"),
        ("trials: 2, cell.activation: {choice: tanh}", "should be a list of values"),
        ("trials: 2, cell.activation: {choice: [tanh, tanh]}", "names 'tanh' twice"),
        (f"trials: 10, {SIZE}", "asks for 10 trials, and there are 9 different points"),
    ],
)
def test_what_cannot_be_drawn(random, said):
    found = mistakes(f"sweep: {{random: {{{random}}}}}")
    assert any(said in one for one in found), found
    assert all(one.startswith("file.yaml:4:") for one in found)


def test_the_place_is_that_of_the_value():
    text = "sweep:\n  random:\n    trials: 3\n    optimizer.lr: {log: [1, 0.1]}\n"
    [said] = mistakes(text)
    assert said.startswith("file.yaml:7:25: sweep.random.optimizer.lr.log: ")


def test_all_mistakes_are_told_at_once():
    text = "sweep: {random: {trials: x, optimizer.lr: {log: 3}, lr: {int: [1, 2]}}, seed: 3}"
    keys = [one.split(": ")[1] for one in mistakes(text)]
    assert keys == ["sweep.random.trials", "sweep.random.optimizer.lr.log", "sweep.random.lr",
                    "sweep.seed"]  # fmt: skip


def test_a_range_that_an_option_does_not_take_is_told_once():
    [size] = mistakes("sweep: {random: {trials: 40, cell.hidden_size: {uniform: [16, 128]}}}")
    assert size.startswith("file.yaml:4:58: cell.hidden_size: ")
    [rate] = mistakes("sweep: {random: {trials: 40, optimizer.lr: {uniform: [-2, -1]}}}")
    assert rate.startswith("file.yaml:4:54: optimizer.lr: ")


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ("optimizer.lr: {log: [1, 2]}", "under random: {trials: 40, optimizer.lr: {log: ...}}"),
        ("randm: {trials: 3}", "the axis whose values are drawn is called 'random'"),
        ("random: 3", "should be a list of values, got 3"),
    ],
)
def test_what_is_nearly_an_axis_that_is_drawn(sweep, said):
    [found] = mistakes(f"sweep: {{{sweep}}}")
    assert said in found


def test_too_many_trials_with_the_other_axes():
    [said] = mistakes("sweep: {random: {trials: 6000, optimizer.lr: {log: [1, 2]}, "
                      "cell.hidden_size: {int: [1, 100]}}, seed: [0, 1]}")  # fmt: skip
    assert "asks for 12,000 trials (6000 of 'random' times 2 of 'seed')" in said


def test_a_trial_count_that_cannot_be_read_is_told_once():
    [said] = mistakes("sweep: {random: {trials: !!x 3, optimizer.lr: {log: [1, 2]}}}")
    assert "tag" in said


def test_an_axis_of_that_name_may_still_be_a_list():
    found = settings("sweep: {random: [{label: a, seed: 1}, {label: b, seed: 2}]}")
    assert [one.seed for one in found] == [1, 2]


def test_what_is_set_from_outside_is_not_drawn():
    text = BASE + ALL.replace("{trials}", "3")
    found = Experiment.parse(text, overrides={"optimizer.lr": 0.5}).trials
    assert {trial.settings.optimizer.lr for trial in found} == {0.5}
    assert [trial.settings.cell.hidden_size for trial in found] == [
        trial.settings.cell.hidden_size for trial in drawn(3)
    ]
    axes = marks.marked({"random": {"trials": 3, "optimizer.lr": {"log": [1, 2]}}, "seed": [0, 1]})
    assert without(axes, "optimizer") == {"seed": [0, 1]}
    assert without(axes, "seed") == {"random": axes["random"]}


def test_each_way_has_an_example_that_is_right():
    for how, example in HOW.items():
        key = {"int": "cell.hidden_size", "choice": "cell.activation"}.get(how, "optimizer.lr")
        assert len(settings(f"sweep: {{random: {{trials: 2, {key}: {example}}}}}")) == 2
