"""The JSON Schema of experiment files, read off the registry."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from gradscope.cli._catalogue import first_sentence
from gradscope.components import registry
from gradscope.components.options import as_mapping
from gradscope.experiment import drawn
from gradscope.experiment.choice import MOST_TRIALS
from gradscope.experiment.schema import NONE, SWEEP, Header, Settings
from gradscope.results.measures import predictable

_REFERENCE = "#/$defs/{model}"
#: what an axis of a sweep may be
_AXIS = (
    "an axis: a dotted key such as cell.hidden_size, with a list of values; or a name of your own, "
    "with a list of mappings from dotted keys to values, each of which may have a label"
)
#: what the axis random is, and how its values may be drawn
_RANDOM = (
    "points that are drawn: trials (how many), seed (which ones), and dotted keys with how their "
    "values are drawn, such as {log: [1e-4, 1e-1]}; or an axis of your own by that name"
)
_HOW = {
    "log": "two bounds above 0: evenly by the logarithm, rounded to 3 digits or more",
    "uniform": "two bounds: evenly between them, rounded to a thousandth of their distance",
    "int": "two bounds: whole numbers from the lower one to the higher one, each as likely",
    "choice": "values of any kind, each as likely as the others",
}


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of an experiment file."""
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gradscope experiment",
        "type": "object",
        "additionalProperties": False,
        "properties": {},
        "$defs": {kind: _kind(kind) for kind in registry.FOLDERS},
    }
    for model in (Header, Settings):
        part = model.model_json_schema(schema_generator=_Schema, ref_template=_REFERENCE)
        schema["properties"] |= part.get("properties", {})
        schema["$defs"] |= part.get("$defs", {})
    probes = schema["properties"]["probes"]
    probes["items"] = {"anyOf": [{"const": NONE}, probes["items"]]}
    measured = schema["$defs"]["Expectation"]["properties"]["measure"]
    measured["examples"] = predictable()  # tasks have measures of their own as well
    schema["properties"]["sweep"] = _sweep()
    return _referring(schema)


def _sweep() -> dict[str, Any]:
    """The schema of a sweep, whose keys are an experiment's own."""
    axis = {"type": "array", "minItems": 1, "description": _AXIS}
    return {
        "description": SWEEP,
        "anyOf": [
            {
                "type": "object",
                "minProperties": 1,
                "properties": {drawn.NAME: {"description": _RANDOM, "anyOf": [_random(), axis]}},
                "additionalProperties": axis,
            },
            {"type": "array", "minItems": 1, "items": {"type": "object"}},
        ],
    }


def _random() -> dict[str, Any]:
    """The schema of the axis whose points are drawn."""
    bounds = {"type": "array", "minItems": 2, "maxItems": 2}
    items = {"uniform": "number", "log": "number", "int": "integer"}
    ways = {how: {**bounds, "items": {"type": kind}} for how, kind in items.items()}
    ways["choice"] = {"type": "array", "minItems": 1}
    words = {
        "trials": {
            "type": "integer",
            "minimum": 1,
            "maximum": MOST_TRIALS,
            "description": "how many points are drawn, all of them different",
        },
        "seed": {
            "type": "integer",
            "minimum": 0,
            "default": 0,
            "description": "decides which points are drawn; the seed of a training is an axis",
        },
    }
    return {
        "type": "object",
        "properties": words,
        "required": ["trials"],
        "minProperties": 2,
        "additionalProperties": {
            "type": "object",
            "description": "how the values of a dotted key are drawn",
            "properties": {how: {**way, "description": _HOW[how]} for how, way in ways.items()},
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        },
    }


def _kind(kind: str) -> dict[str, Any]:
    """The schema of a component of a kind: its name, or a mapping with its name and options."""
    variants = []
    classes = {name: registry.get(kind, name) for name in registry.names(kind)}
    about = {name: first_sentence(cls) for name, cls in classes.items()}
    for name, cls in classes.items():
        options = registry.options(cls).model_json_schema(
            schema_generator=_Schema, ref_template=_REFERENCE
        )
        variants.append(
            {
                "type": "object",
                "title": name,
                "description": about[name],
                "additionalProperties": False,
                "properties": {
                    "name": {
                        "const": name,
                        "description": f"the {kind} {name}: {about[name].rstrip('.')}",
                    },
                    **options.get("properties", {}),
                },
                "required": ["name", *options.get("required", [])],
            }
        )
    # enumDescriptions is not JSON Schema's own, but what editors show beside each name
    names = {"enum": [*classes], "enumDescriptions": [*about.values()]}
    return {"anyOf": [names, *variants]}


def _referring(schema: Any) -> Any:
    """The schema with a reference to its kind in place of every field that holds a component."""
    if isinstance(schema, dict):
        kind = schema.get("x-component")
        rest = {key: _referring(value) for key, value in schema.items() if key != "x-component"}
        return {"$ref": f"#/$defs/{kind}", **rest} if kind else rest
    return [_referring(item) for item in schema] if isinstance(schema, list) else schema


class _Schema(GenerateJsonSchema):
    """pydantic's generator, with components in defaults as plain values."""

    def encode_default(self, dft: Any) -> Any:
        """A default value; of a section, the mapping of its defaults."""
        return as_mapping(dft) if isinstance(dft, BaseModel) else super().encode_default(dft)
