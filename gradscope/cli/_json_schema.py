"""The JSON Schema of experiment files, read off the registry."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from gradscope.cli._catalogue import first_sentence
from gradscope.components import registry
from gradscope.components.options import as_mapping
from gradscope.experiment.schema import NONE, SWEEP, Header, Settings
from gradscope.results.measures import predictable

_REFERENCE = "#/$defs/{model}"
#: what an axis of a sweep may be
_AXIS = (
    "an axis: a dotted key such as cell.hidden_size, with a list of values; or a name of your own, "
    "with a list of mappings from dotted keys to values, each of which may have a label"
)


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
    return {
        "description": SWEEP,
        "anyOf": [
            {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {"type": "array", "minItems": 1, "description": _AXIS},
            },
            {"type": "array", "minItems": 1, "items": {"type": "object"}},
        ],
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
