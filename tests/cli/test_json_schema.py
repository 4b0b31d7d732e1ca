"""The JSON Schema of experiment files."""

import json
import re

import jsonschema
import pytest

from gradscope.cli._json_schema import json_schema
from gradscope.components import marks, registry
from gradscope.experiment.schema import Header, Settings
from gradscope.experiment.shipped import shipped
from gradscope.results.measures import predictable

EXPERIMENTS = {name: path for name, path in shipped().items() if path.is_file()}


@pytest.fixture(scope="module")
def schema():
    return json_schema()


@pytest.fixture(scope="module")
def wrong(schema):
    """What a validator of JSON Schema has against the content of a file."""
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    return lambda content: [error.message for error in validator.iter_errors(content)]


def properties(part, owner="experiment"):
    """Every property of a schema: whose it is, its name, and its schema."""
    if isinstance(part, dict):
        owner = part.get("title", owner)
        if part.get("type") == "object":
            yield from ((owner, name, value) for name, value in part.get("properties", {}).items())
        for value in part.values():
            yield from properties(value, owner)
    if isinstance(part, list):
        for value in part:
            yield from properties(value, owner)


def own(schema):
    """Its properties but for those of components that are not gradscope's own."""
    others = {
        name
        for kind in registry.FOLDERS
        for name in registry.names(kind)
        if not registry.is_own(registry.get(kind, name))
    }
    return [found for found in properties(schema) if found[0] not in others]


def words(text):
    return set(re.findall(r"[a-z0-9]+", text.lower()))


def test_every_property_says_what_it_is_and_not_just_its_name(schema):
    found = own(schema)
    assert len(found) > 300
    for owner, name, value in found:
        about = value.get("description", "")
        said = words(about) - words(name) - {"a", "an", "the", "of", "number", "value", "option"}
        assert len(said) >= 3, f"{owner}.{name}: {about!r}"
        assert not about.endswith("."), f"{owner}.{name} ends as a sentence; it is shown in lines"


def test_descriptions_say_what_null_false_and_each_choice_mean(schema):
    for owner, name, value in own(schema):
        about = value["description"]
        kinds = {value.get("type"), *(part.get("type") for part in value.get("anyOf", []))}
        if "null" in kinds and "default" in value:
            assert "null: " in about, f"{owner}.{name}: {about!r}"
        if "boolean" in kinds:
            assert "false: " in about, f"{owner}.{name}: {about!r}"
        for choice in value.get("enum", value.get("items", {}).get("enum", [])):
            assert str(choice) in about, f"{owner}.{name} does not say what {choice} is"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_it_accepts_the_experiments_that_ship(name, wrong):
    text = EXPERIMENTS[name].read_text(encoding="utf-8")
    assert wrong(marks.read(text, name)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"trainig": {"steps": 3}},
        {"training": {"stepps": 3}},
        {"training": {"steps": 0}},
        {"training": {"steps": "many"}},
        {"cell": "lstn"},
        {"cell": {"name": "lstm", "hiden_size": 3}},
        {"cell": {"name": "lstm", "recurrent_init": "ortogonal"}},
        {"probes": ["spectre"]},
        {"figures": ["heatmap"]},
        {"expect": [{"claim": "it is solved"}]},
        {"sweep": {"seed": 3}},
        {"dtype": "float16"},
    ],
    ids=str,
)
def test_it_refuses_what_is_wrong(change, wrong):
    good = {"task": {"name": "adding", "length": 4}, "cell": "lstm", "sweep": {"seed": [0, 1]}}
    assert wrong(good) == []
    assert wrong({**good, **change})


def test_editors_are_told_what_each_name_means_and_what_can_be_expected(schema):
    names = schema["$defs"]["cell"]["anyOf"][0]
    assert len(names["enumDescriptions"]) == len(names["enum"])
    at = names["enum"].index("lstm")
    assert names["enumDescriptions"][at].startswith("Long short-term memory: ")
    assert schema["$defs"]["Expectation"]["properties"]["measure"]["examples"] == predictable()


def references(part):
    """Every "$ref" in a schema."""
    if isinstance(part, dict):
        yield from ([part["$ref"]] if "$ref" in part else [])
        for value in part.values():
            yield from references(value)
    if isinstance(part, list):
        for value in part:
            yield from references(value)


def test_it_is_json_whose_references_lead_somewhere(schema):
    assert json.loads(json.dumps(schema, allow_nan=False)) == schema
    targets = set(references(schema))
    assert targets
    for target in targets:
        assert target.startswith("#/$defs/")
        assert target.removeprefix("#/$defs/") in schema["$defs"]
    assert "x-component" not in json.dumps(schema)


def test_it_has_the_keys_of_an_experiment_file_and_no_others(schema):
    known = {*Header.model_fields, *Settings.model_fields, "sweep"}
    assert set(schema["properties"]) == known
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("kind", registry.FOLDERS)
def test_a_component_is_a_name_or_a_mapping_with_the_options_of_its_class(kind, schema):
    names, *variants = schema["$defs"][kind]["anyOf"]
    assert names["enum"] == registry.names(kind)
    assert [variant["title"] for variant in variants] == registry.names(kind)
    for name, variant in zip(registry.names(kind), variants, strict=True):
        fields = registry.options(registry.get(kind, name)).model_fields
        assert set(variant["properties"]) == {"name", *fields}
        assert variant["properties"]["name"]["const"] == name
        needed = [key for key, field in fields.items() if field.is_required()]
        assert variant["required"] == ["name", *needed]
        assert variant["additionalProperties"] is False
        assert variant["description"]


def test_fields_that_hold_a_component_refer_to_its_kind(schema):
    for kind in ("task", "cell", "clip", "optimizer"):
        assert schema["properties"][kind]["$ref"] == f"#/$defs/{kind}"
    probe = schema["properties"]["probes"]["items"]
    assert probe == {"anyOf": [{"const": "none"}, {"$ref": "#/$defs/probe"}]}
    rnn = next(v for v in schema["$defs"]["cell"]["anyOf"][1:] if v["title"] == "rnn")
    assert rnn["properties"]["recurrent_init"]["$ref"] == "#/$defs/init"


def test_defaults_are_plain_values(schema):
    assert schema["properties"]["clip"]["default"] == "none"
    assert schema["properties"]["training"]["default"]["steps"] > 0
    assert schema["$defs"]["TrainingSection"]["properties"]["steps"]["type"] == "integer"


def test_an_axis_that_is_drawn(wrong):
    def of(random):
        sweep = {"random": random, "seed": [0, 1]}
        return wrong({"name": "x", "task": "adding", "cell": "rnn", "sweep": sweep})

    right = {
        "trials": 4,
        "seed": 1,
        "optimizer.lr": {"log": [1e-4, 1]},
        "cell": {"choice": ["gru"]},
    }
    assert not of(right)
    assert not of([{"label": "a", "seed": 1}])
    for bad in (
        {"optimizer.lr": {"log": [1e-4, 1]}},
        {"trials": 4},
        {**right, "trials": 0},
        {**right, "optimizer.lr": [1e-4, 1]},
        {**right, "optimizer.lr": {"logs": [1e-4, 1]}},
        {**right, "optimizer.lr": {"log": [1e-4]}},
        {**right, "optimizer.lr": {"log": [1, 2], "uniform": [1, 2]}},
    ):
        assert of(bad), bad
