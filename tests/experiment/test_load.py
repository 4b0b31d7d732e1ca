"""From a file, a text or a mapping to an experiment; what is wrong is in test_bad_input."""

import pytest
import yaml

from gradscope.errors import ConfigError, UnknownNameError
from gradscope.experiment import Experiment

BASE = """
task: {name: adding, length: 20}
cell: {name: rnn, hidden_size: 7, activation: relu}
"""


def test_name_is_the_files_unless_given(tmp_path):
    path = tmp_path / "my_question.yaml"
    path.write_text(BASE)
    assert Experiment.load(path).name == "my_question"
    path.write_text(BASE + "name: other")
    assert Experiment.load(path).name == "other"


def test_a_mapping_is_the_experiment_of_its_yaml():
    text = (
        BASE + "question: which?\nsweep: {seed: [0, 1], v: [{clip: none}, {label: b, clip: value}]}"
    )
    from_text = Experiment.parse(text, default_name="x")
    from_mapping = Experiment.of(yaml.safe_load(text), default_name="x")
    assert from_mapping.header == from_text.header
    assert from_mapping.trials == from_text.trials
    assert [t.id for t in from_mapping.trials] == [t.id for t in from_text.trials]


def test_errors_of_a_mapping_name_the_key():
    with pytest.raises(UnknownNameError) as caught:
        Experiment.of({"task": "adding", "cell": {"name": "rnn", "hiden_size": 3}})
    assert caught.value.key == "cell.hiden_size"
    with pytest.raises(ConfigError) as caught:
        Experiment.of({"task": "adding", "cell": "rnn", "training": {"steps": 0}})
    assert caught.value.key == "training.steps"
    with pytest.raises(UnknownNameError) as caught:
        Experiment.of({"task": "adding", "cel": "rnn"})
    assert caught.value.key == "cel"


def test_overrides_come_before_the_sweep():
    trials = Experiment.parse(
        BASE + "sweep: {seed: [0, 1]}", overrides={"training.steps": 7, "cell.activation": "tanh"}
    ).trials
    assert [t.settings.training.steps for t in trials] == [7, 7]
    assert trials[0].settings.cell.activation == "tanh"
    with pytest.raises(ConfigError, match="did you mean 'steps'"):
        Experiment.parse(BASE, overrides={"training.step": 7})


def test_an_override_of_a_wrong_value_names_its_key():
    with pytest.raises(
        ConfigError,
        match=r"^overrides: training.steps: should be a whole number, such as 20",
    ):
        Experiment.parse(BASE, overrides={"training.steps": "abc"})


def test_an_experiment_says_how_large_it_is():
    one = Experiment.parse(BASE, default_name="one")
    assert repr(one) == str(one) == "Experiment 'one': 1 trial of 1 configuration"
    many = Experiment.parse(BASE + "sweep: {cell.name: [rnn, gru], seed: [0, 1, 2]}")
    assert many.configurations == ["rnn", "gru"]
    assert str(many) == "Experiment 'experiment': 6 trials of 2 configurations"


def test_a_component_may_come_from_the_sweep_alone():
    trials = Experiment.parse("task: adding\nsweep: {cell: [lstm, gru]}").trials
    assert [t.settings.cell.name for t in trials] == ["lstm", "gru"]
    assert [t.configuration for t in trials] == ["lstm", "gru"]


def test_missing_files_are_errors_of_the_file_before_anything_runs():
    with pytest.raises(ConfigError) as caught:
        Experiment.parse("cell: rnn\ntask: {name: char_lm, corpus: nofile.txt}", "lm.yaml")
    assert str(caught.value).startswith("lm.yaml:2:31: task.corpus: ")
    assert "there is no corpus or text file '" in str(caught.value)
    assert "nofile.txt'; known: stdlib" in str(caught.value)
    with pytest.raises(ConfigError, match=r"^lm.yaml:2:28: task.data: .*MNIST's four files"):
        Experiment.parse("cell: rnn\ntask: {name: digits, data: nowhere}", "lm.yaml")
