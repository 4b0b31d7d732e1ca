"""From YAML to trials: sweeps, identities, seeds."""

import json

import pytest

from gradscope.experiment import schema as config

BASE = """
task: {name: adding, length: 20}
cell: {name: rnn, hidden_size: 7, activation: relu}
"""


def trials(text: str):
    return config.parse(BASE + text).trials


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


def test_another_component_keeps_the_options_it_knows():
    """rnn's activation does not follow to lstm; hidden_size does, by the name alone or with
    options.
    """
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


def test_null_is_a_value():
    found = trials("sweep: {training.tbptt_length: [5, null]}")
    assert [t.settings.training.tbptt_length for t in found] == [5, None]
    assert [t.configuration for t in found] == ["tbptt length 5", "tbptt length null"]


def test_component_may_come_from_the_sweep_alone():
    found = config.parse("task: adding\nsweep: {cell: [lstm, gru]}").trials
    assert [t.settings.cell.name for t in found] == ["lstm", "gru"]


def test_id_depends_on_settings_alone():
    one = trials("sweep: {cell.hidden_size: [3, 4]}")
    other = trials(
        "question: different\nsweep:\n  v:\n    - {label: b, cell.hidden_size: 4}\n    - {label: a,"
        " cell.hidden_size: 3}"
    )
    assert one[0].id == other[1].id
    assert one[1].id == other[0].id
    assert one[0].id != one[1].id
    written_out = config.parse(
        BASE + "cell2: x".replace("cell2: x", "clip: none\nseed: 0\nsweep: {cell.hidden_size: [3]}")
    ).trials[0]
    assert written_out.id == one[0].id


def test_seeds_differ_by_purpose_trial_and_seed():
    a, b = trials("sweep: {seed: [0, 1]}")
    seeds = {
        t.seed_of(purpose) for t in (a, b) for purpose in ("weights", "training", "evaluation")
    }
    assert len(seeds) == 6
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_resolved_settings_survive_json():
    from gradscope.components.options import validated

    trial = trials("sweep: {cell: [{name: rnn, recurrent_init: {name: gaussian, gain: 1.5}}]}")[0]
    plain = json.loads(json.dumps(trial.resolved))
    again = config.Trial(
        settings=validated(config.Settings, plain, owner="x"), configuration="", axes={}
    )
    assert again.id == trial.id
    assert again.settings == trial.settings


def test_overrides_come_before_the_sweep():
    found = config.parse(
        BASE + "sweep: {seed: [0, 1]}", overrides={"training.steps": 7, "cell.activation": "tanh"}
    ).trials
    assert [t.settings.training.steps for t in found] == [7, 7]
    assert found[0].settings.cell.activation == "tanh"
    with pytest.raises(config.ConfigError, match="did you mean 'steps'"):
        config.parse(BASE, overrides={"training.step": 7})


def test_trials_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        trials("")[0].settings.seed = 4


def test_name_is_the_files_unless_given(tmp_path):
    path = tmp_path / "my_question.yaml"
    path.write_text(BASE)
    assert config.load(path).name == "my_question"
    path.write_text(BASE + "name: other")
    assert config.load(path).name == "other"


def test_an_override_takes_the_place_of_the_axis_it_touches():
    found = config.parse(
        BASE + "sweep: {seed: [0, 1], cell.name: [rnn, gru]}", overrides={"seed": 7}
    ).trials
    assert [t.settings.seed for t in found] == [7, 7]
    assert (
        len(
            config.parse(
                BASE + "sweep: {seed: [0, 1], cell.name: [rnn, gru]}", overrides={"cell": "lstm"}
            ).trials
        )
        == 2
    )
    with pytest.raises(config.ConfigError, match=r"--set seed.*axis 'v' sets seed with other keys"):
        config.parse(BASE + "sweep: {v: [{seed: 1, clip: none}]}", overrides={"seed": 7})
    with pytest.raises(
        config.ConfigError,
        match=r"^--set training.steps: training.steps: should be a valid integer",
    ):
        config.parse(BASE, overrides={"training.steps": "abc"})
