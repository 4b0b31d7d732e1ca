"""What exists, as entries."""

import json
from dataclasses import asdict

import pytest

from gradscope.cli._catalogue import KINDS, entries, entry, found, having, shown_value, singular
from gradscope.components import registry
from gradscope.errors import UnknownNameError
from gradscope.experiment.schema import Header, Settings
from gradscope.experiment.shipped import shipped
from gradscope.results.measures import predictable


@pytest.mark.parametrize("kind", KINDS)
def test_every_entry_of_a_kind_says_what_it_is_and_is_found_by_its_name(kind):
    assert singular(kind) == singular(KINDS[kind]) == kind
    listed = entries(kind)
    assert listed
    for one in listed:
        assert len(one.about) > 10, one.name
        assert entry(kind, one.name) == one
        assert one in found(one.name)
        json.dumps(asdict(one), allow_nan=False)


@pytest.mark.parametrize("kind", registry.FOLDERS)
def test_components_have_their_options_with_plain_defaults(kind):
    for one in entries(kind):
        fields = registry.options(registry.get(kind, one.name)).model_fields
        assert [option.name for option in one.options] == [*fields]
        for option in one.options:
            assert option.required is fields[option.name].is_required()


def test_types_in_words():
    def types(kind, name):
        return {option.name: option.type for option in entry(kind, name).options}

    assert types("cell", "lstm")["chrono"] == "int | None"
    assert types("cell", "lstm")["recurrent_init"] == "an init"
    assert types("cell", "rnn")["activation"].startswith("one of 'tanh', 'relu', ")
    assert types("task", "copy_memory")["marker"] == "one of 'arjovsky', 'tcn', 'exprnn'"
    assert types("probe", "spectra")["lags"] == "list of int"


def test_values_as_in_yaml():
    values = [None, True, 1, 0, 0.5, "", "tanh", [1, {"name": "none"}]]
    shown = ["null", "true", "1", "0", "0.5", "''", "tanh", "[1, none]"]
    assert [shown_value(value) for value in values] == shown


def test_keys_are_those_of_an_experiment_file():
    assert {one.name for one in entries("key")} == {
        *Header.model_fields,
        *Settings.model_fields,
        "sweep",
    }
    training = entry("key", "training")
    assert "tbptt_length" in {option.name for option in training.options}
    steps = entry("key", "training.steps")
    assert (steps.facts["takes"], steps.facts["default"]) == ("int", "2000")
    assert steps in found("steps")
    assert steps in found("training.steps")
    assert entry("key", "clip").facts == {
        "takes": "a clip",
        "default": "none",
        "known": "gradscope list clip",
    }


def test_measures_are_what_a_prediction_may_be_about():
    names = {one.name for one in entries("measure")}
    assert set(predictable()) < names
    assert {"bits_per_character", "perplexity"} <= names
    assert "the task char_lm" in entry("measure", "bits_per_character").about


def test_a_name_of_several_kinds_is_found_in_each():
    assert {one.kind for one in found("gru")} == {"cell", "remedy"}
    assert {one.kind for one in found("clipping")} == {"plot", "experiment"}
    assert {one.kind for one in found("jacobian_norms")} == {"probe"}


def test_experiments_are_found_by_short_names_and_by_folder():
    (full,) = found("lecture/04_bptt_sum")
    assert full.facts["file"] == str(shipped()["lecture/04_bptt_sum"])
    assert found("bptt_sum")[0].facts["file"] == full.facts["file"]
    assert len(found("lecture")) == 10


def test_who_has_an_option():
    owners = {f"{of.kind} {of.name}" for of, _ in having("forget_bias")}
    assert owners == {"cell lstm", "cell lstm_variant", "cell layer_norm_lstm"}
    assert having("lstn") == []


@pytest.mark.parametrize("name", ["nothing_like_it", "lecture"])
def test_a_name_of_no_experiment(name):
    with pytest.raises(UnknownNameError, match=f"no experiment called '{name}'.*quickstart"):
        entry("experiment", name)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("lstn", r"did you mean 'lstm' \(cell\)"),
        ("cel", r"did you mean 'cell' \(kind\)"),
        ("sucess_rate", r"did you mean 'success_rate' \(measure\)"),
        ("trainig", r"did you mean 'training' \(key\)"),
        ("quickstrt", r"did you mean 'quickstart' \(experiment\)"),
        ("qqqqqqqqqq", r"called 'qqqqqqqqqq'; 'gradscope list' names all"),
    ],
)
def test_a_near_miss_suggests(name, hint):
    with pytest.raises(UnknownNameError, match=hint):
        found(name)


def test_a_kind_or_key_that_does_not_exist():
    with pytest.raises(UnknownNameError, match="no kind called 'cels'; did you mean 'cell'"):
        entries("cels")
    with pytest.raises(UnknownNameError, match=r"no key called 'training\.step'; did you mean"):
        entry("key", "training.step")
