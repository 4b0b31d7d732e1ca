"""The JSON Schema of experiment files."""

import json

import pytest

from gradscope.cli._json_schema import json_schema
from gradscope.components import registry
from gradscope.experiment.schema import Header, Settings


@pytest.fixture(scope="module")
def schema():
    return json_schema()


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
    assert names == {"enum": registry.names(kind)}
    assert [variant["title"] for variant in variants] == registry.names(kind)
    for name, variant in zip(registry.names(kind), variants, strict=True):
        fields = registry.options(registry.get(kind, name)).model_fields
        assert set(variant["properties"]) == {"name", *fields}
        assert variant["properties"]["name"] == {"const": name}
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
