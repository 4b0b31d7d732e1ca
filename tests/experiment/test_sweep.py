"""Sweeps: products and zips of axes, and what becomes of a component's options."""

import pytest

from gradscope.components import marks
from gradscope.errors import ConfigError
from gradscope.experiment import Experiment, Trial
from gradscope.experiment.schema import Settings
from gradscope.experiment.sweep import applied, expand, without

BASE = """
task: {name: adding, length: 20}
cell: {name: rnn, hidden_size: 7, activation: relu}
"""


def trials(text: str) -> list[Trial]:
    return Experiment.parse(BASE + text).trials


# --- axes -----------------------------------------------------------------------------------------


def test_product_runs_the_last_axis_fastest():
    found = trials("sweep: {cell.hidden_size: [3, 4], seed: [0, 1, 2]}")
    assert [(t.settings.cell.hidden_size, t.settings.seed) for t in found] == [
        (3, 0),
        (3, 1),
        (3, 2),
        (4, 0),
        (4, 1),
        (4, 2),
    ]
    assert [t.configuration for t in found] == ["hidden size 3"] * 3 + ["hidden size 4"] * 3


def test_zip_sets_several_keys_at_once():
    found = trials("""
sweep:
  variant:
    - {label: first, cell.activation: tanh, optimizer.lr: 0.5, clip: none}
    - {cell: gru, clip: {name: value, max_value: 2.0}}
""")
    assert found[0].configuration == "first"
    assert (found[0].settings.cell.activation, found[0].settings.optimizer.lr) == ("tanh", 0.5)
    assert found[1].settings.cell.name == "gru"
    assert found[1].settings.cell.hidden_size == 7
    assert found[1].settings.clip.max_value == 2.0
    assert found[1].configuration == "gru, value (max value 2.0)"


def test_a_list_is_one_zip_axis():
    found = trials("sweep: [{seed: 3, task.length: 5}, {seed: 4, task.length: 6}]")
    assert [(t.settings.seed, t.settings.task.length) for t in found] == [(3, 5), (4, 6)]


def test_null_is_a_value():
    found = trials("sweep: {training.tbptt_length: [5, null]}")
    assert [t.settings.training.tbptt_length for t in found] == [5, None]
    assert [t.configuration for t in found] == ["tbptt length 5", "tbptt length null"]


def test_labels_are_the_values_in_words():
    found = trials("""
sweep:
  training.stop_on_success: [true]
  cell.recurrent_init: [{gain: 2.0, name: gaussian}]
""")
    assert found[0].axes == {
        "training.stop_on_success": "stop on success true",
        "cell.recurrent_init": "gaussian (gain 2.0)",
    }


def test_without_a_sweep_there_is_one_point():
    base = marks.marked({"seed": 3})
    (point,) = expand(base, None, model=Settings, place=None)
    assert point.settings == {"seed": 3}
    assert point.axes == {}


def test_the_base_is_left_as_it_was():
    base = marks.marked({"cell": {"name": "rnn", "hidden_size": 7}})
    axes = marks.marked({"cell.hidden_size": [3, 4], "cell.name": ["gru"]})
    points = expand(base, axes, model=Settings, place=None)
    assert [point.settings["cell"] for point in points] == [
        {"name": "gru", "hidden_size": 3},
        {"name": "gru", "hidden_size": 4},
    ]
    assert base == {"cell": {"name": "rnn", "hidden_size": 7}}


# --- components -----------------------------------------------------------------------------------


def test_another_component_keeps_the_options_it_knows():
    """rnn's activation does not follow to lstm; hidden_size does, by the name or with options."""
    for sweep in (
        "{cell.name: [rnn, lstm]}",
        "{cell: [rnn, lstm]}",
        "{cell: [rnn, {name: lstm, forget_bias: 1.0}]}",
    ):
        rnn, lstm = trials(f"sweep: {sweep}")
        assert (rnn.settings.cell.hidden_size, rnn.settings.cell.activation) == (7, "relu")
        assert lstm.settings.cell.hidden_size == 7


def test_a_swept_name_lets_a_later_axis_set_its_options():
    found = trials("sweep: {cell.name: [lstm], cell.forget_bias: [0.0, 2.0]}")
    assert [t.settings.cell.forget_bias for t in found] == [0.0, 2.0]


def test_options_of_nested_components_can_be_swept():
    found = trials(
        "sweep: {cell.recurrent_init: [orthogonal], cell.recurrent_init.gain: [0.5, 1.5]}"
    )
    assert [t.settings.cell.recurrent_init.gain for t in found] == [0.5, 1.5]


def test_options_of_a_default_component_can_be_set():
    """The optimizer is adam unless said otherwise, so its options are known."""
    changed = applied(marks.marked({}), "optimizer.beta1", 0.5, model=Settings, place=None)
    assert changed == {"optimizer": {"name": "adam", "beta1": 0.5}}


def test_sections_merge_and_lists_are_replaced():
    root = marks.marked({"training": {"steps": 5}, "probes": ["spectra"]})
    more = applied(root, "training", marks.marked({"batch_size": 2}), model=Settings, place=None)
    assert more["training"] == {"steps": 5, "batch_size": 2}
    assert applied(root, "probes", ["gates"], model=Settings, place=None)["probes"] == ["gates"]


def test_options_of_what_has_none_are_refused():
    with pytest.raises(ConfigError, match="seed has no options of its own"):
        applied(marks.marked({}), "seed.value", 3, model=Settings, place=None)
    with pytest.raises(ConfigError, match="cell has no name yet"):
        applied(marks.marked({}), "cell.hidden_size", 3, model=Settings, place=None)


# --- overrides ------------------------------------------------------------------------------------


def test_an_override_takes_the_place_of_the_axis_it_touches():
    text = BASE + "sweep: {seed: [0, 1], cell.name: [rnn, gru]}"
    found = Experiment.parse(text, overrides={"seed": 7}).trials
    assert [t.settings.seed for t in found] == [7, 7]
    assert len(Experiment.parse(text, overrides={"cell": "lstm"}).trials) == 2
    with pytest.raises(
        ConfigError, match=r"^overrides: seed: .*axis 'v' sets seed with other keys"
    ):
        Experiment.parse(BASE + "sweep: {v: [{seed: 1, clip: none}]}", overrides={"seed": 7})
    with pytest.raises(
        ConfigError, match=r"^overrides: seed: .*axis 'sweep' sets seed with other keys"
    ):
        Experiment.parse(BASE + "sweep: [{seed: 1, clip: none}]", overrides={"seed": 7})


def test_without_an_axis_the_others_stay():
    axes = marks.marked({"seed": [0, 1], "cell.name": ["rnn"], "v": [{"clip": "none"}]})
    assert without(axes, "cell") == {"seed": [0, 1], "v": [{"clip": "none"}]}
    assert without(axes, "cell.name.x") == {"seed": [0, 1], "v": [{"clip": "none"}]}
    assert without(axes, "training.steps") == axes
    assert without(marks.marked({"seed": [0, 1]}), "seed") is None
    assert without(None, "seed") is None
