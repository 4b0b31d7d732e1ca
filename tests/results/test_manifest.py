"""The manifest: from JSON and back, and what it says of its trials."""

import json

import pytest
from pydantic import ValidationError

from gradscope.results.manifest import (
    FORMAT,
    Manifest,
    PluginEntry,
    Prediction,
    TrialEntry,
    first_problem,
)
from tests.results.conftest import entry, wanted


def test_json_and_back():
    manifest = wanted(
        entry("aaa", "c", length=12, seed=3),
        expect=[{"claim": "x", "measure": "final_loss", "configuration": "c", "below": 1}],
        tasks={"adding": {"measures": {"bits": ("bits", "per character")}}},
        plugins=[{"path": "/a.py", "sha256": "0" * 64, "components": ["clip half"]}],
        figures=[{"name": "gates"}],
    )
    text = json.dumps(manifest.model_dump(mode="json"))
    again = Manifest.model_validate(json.loads(text))
    assert again == manifest
    assert again.format == FORMAT
    assert again.tasks["adding"].measures["bits"] == ("bits", "per character")
    assert again.plugins == [PluginEntry(path="/a.py", sha256="0" * 64, components=["clip half"])]


def test_what_a_later_version_adds_is_kept():
    content = wanted(entry("aaa")).model_dump()
    content["trials"][0]["new"] = 2
    manifest = Manifest.model_validate({**content, "later": {"a": 1}})
    written = manifest.model_dump(mode="json")
    assert written["later"] == {"a": 1}
    assert written["trials"][0]["new"] == 2


def test_a_manifest_is_frozen():
    with pytest.raises(ValidationError):
        wanted(entry("aaa")).name = "other"


def test_what_a_trial_says_of_itself():
    trial = entry("aaa", "lstm", length=12, seed=3)
    assert (trial.length, trial.task, trial.seed) == (12, "adding", 3)
    assert trial.other_labels == ["lstm"]


@pytest.mark.parametrize("settings", [{}, {"task": {}}, {"task": None}, {"task": "adding"}])
def test_a_trial_may_say_nothing(settings):
    trial = TrialEntry(id="aaa", configuration="c", settings=settings)
    assert (trial.length, trial.task, trial.seed, trial.other_labels) == (None, "", 0, [""])


def test_labels_but_for_seed_and_length():
    axes = {"network": "tanh", "seed": "0", "task.length": "12", "clip": "none"}
    trial = TrialEntry(id="aaa", configuration="c", axes=axes)
    assert trial.other_labels == ["tanh", "none"]


ABOUT = {"claim": "x", "measure": "final_loss", "configuration": "c"}


@pytest.mark.parametrize("bound", [0.0, 0.5, "other"])
@pytest.mark.parametrize("side", ["above", "below"])
def test_a_prediction_has_one_bound(side, bound):
    assert Prediction.model_validate({**ABOUT, side: bound}).bound == bound


@pytest.mark.parametrize("bounds", [{}, {"above": 1.0, "below": 2.0}, {"above": None}])
def test_no_bound_and_two_bounds_are_refused(bounds):
    with pytest.raises(ValidationError, match="one of 'above' and 'below'"):
        Prediction.model_validate({**ABOUT, **bounds})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": None}, "name: Input should be a valid string"),
        ({"trials": [{"id": "a"}]}, "it lacks 'trials.0.configuration'"),
        ({"trials": 3}, "trials: Input should be a valid list"),
        ({"expect": [ABOUT]}, "expect.0: Value error, a prediction has one of"),
        ({"provenance": [{"device": "cpu"}]}, "it lacks 'provenance.0.versions'"),
    ],
)
def test_the_first_problem_in_a_few_words(change, said):
    content = {**wanted(entry("aaa")).model_dump(mode="json"), **change}
    with pytest.raises(ValidationError) as caught:
        Manifest.model_validate(content)
    assert first_problem(caught.value).startswith(said)


def test_what_is_missing_is_named():
    with pytest.raises(ValidationError) as caught:
        Manifest.model_validate({"name": "x", "created": "", "provenance": []})
    assert first_problem(caught.value) == "it lacks 'trials'"


@pytest.mark.parametrize("name", ["../../x", "a/b", "", "a" * 65, ".", "a b"])
def test_a_trial_whose_id_is_a_path_is_refused(name):
    entry = TrialEntry(id=name, configuration="a")  # a scope names its recordings so
    with pytest.raises(ValidationError, match="a trial's id is a word"):
        Manifest(name="x", created="", trials=[entry], provenance=[])


@pytest.mark.parametrize("character", ["\x1b", "\x00", "\u202e", "\ud800"])
def test_words_are_text_that_can_be_shown(character):
    for content in (
        {"name": f"a{character}"},
        {"name": "a", "question": character},
        {"name": "a", "trials": [{"id": "a", "configuration": "b", "axes": {character: "c"}}]},
    ):
        with pytest.raises(ValidationError, match="which is no text"):
            Manifest.model_validate({"created": "", "trials": [], "provenance": [], **content})


def test_which_trials_trained_together_in_words():
    entries = [TrialEntry(id=f"t{number}", configuration="a") for number in range(6)]
    alone = Manifest(name="x", created="", trials=entries, provenance=[])
    assert alone.trained_together == ""
    pair = alone.model_copy(update={"together": [["t0", "t1"]]})
    assert pair.trained_together.startswith("2 of 6 trials, 2 in a program with a trial axis")
    both = alone.model_copy(update={"together": [["t0", "t1"], ["t2", "t3", "t4"]]})
    assert both.trained_together.startswith("5 of 6 trials, 2 to 3 in a program")
