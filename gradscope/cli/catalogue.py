"""What exists, in words (``gradscope list``) and as a JSON Schema (``gradscope schema``), read off
the registry.
"""

from __future__ import annotations

import inspect
import textwrap
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticUndefined

from gradscope.components import registry
from gradscope.errors import ConfigError
from gradscope.experiment.schema import Header, Settings


def text(kind: str | None = None, name: str | None = None) -> str:
    """All kinds, the components of one, or one component in full.

    Raises:
        ConfigError: for a kind or a name that does not exist.
    """
    if kind is None:
        return (
            "\n\n".join(_kind(each) for each in registry.FOLDERS)
            + "\n\nMore: gradscope list KIND NAME"
        )
    singular = (
        kind
        if kind in registry.FOLDERS
        else next((k for k, folder in registry.FOLDERS.items() if folder == kind), kind)
    )
    if singular not in registry.FOLDERS:
        raise ConfigError(
            f"there is no kind of component called {kind!r};"
            f" {registry.suggest(kind, list(registry.FOLDERS))}"
        )
    return _kind(singular) if name is None else _component(singular, name)


def _kind(kind: str) -> str:
    lines = [kind]
    for name in registry.names(kind):
        cls = registry.get(kind, name)
        lines.append(f"  {name:<20} {_first_line(cls)}")
        if options := ", ".join(
            _short(key, field) for key, field in registry.options(cls).model_fields.items()
        ):
            lines.append(
                textwrap.fill(options, 110, initial_indent=" " * 23, subsequent_indent=" " * 23)
            )
    return "\n".join(lines)


def _component(kind: str, name: str) -> str:
    cls = registry.get(kind, name)
    lines = [f"{kind} {name}", "", inspect.cleandoc(cls.__doc__ or ""), ""]
    fields = registry.options(cls).model_fields
    lines.append("Options:" if fields else "No options.")
    for key, field in fields.items():
        lines.append(
            f"  {key}: {_type(field)} = {_default(field)}"
            + (f"    {field.description}" if field.description else "")
        )
    if criterion := getattr(cls, "criterion", None):
        lines += ["", textwrap.fill(f"Solved: {criterion}", 110)]
    return "\n".join(lines)


def _first_line(cls: type) -> str:
    return inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].replace("\n", " ")


def _short(key: str, field: Any) -> str:
    return f"{key}={_default(field)}"


def _default(field: Any) -> str:
    if field.default is PydanticUndefined:
        return "(required)"
    return "null" if field.default is None else str(field.default)


def _type(field: Any) -> str:
    kinds = [meta.kind for meta in field.metadata if hasattr(meta, "kind")]
    if kinds:
        return f"{'an' if kinds[0][0] in 'aeiou' else 'a'} {kinds[0]}"
    annotation = field.annotation
    return (
        annotation.__name__
        if isinstance(annotation, type)
        else str(annotation).replace("typing.", "").replace("Literal", "one of ")
    )


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of an experiment file, generated from the components that are
    registered.
    """
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gradscope experiment",
        "type": "object",
        "additionalProperties": False,
        "properties": {},
        "$defs": {kind: _kind_schema(kind) for kind in registry.FOLDERS},
    }
    for model in (Header, Settings):
        own = model.model_json_schema(schema_generator=_Schema, ref_template="#/$defs/{model}")
        schema["properties"] |= own.get("properties", {})
        schema["$defs"] |= own.get("$defs", {})
    schema["properties"]["sweep"] = {
        "description": "axes (dotted keys, or names of your own) to lists; or a list of mappings",
        "anyOf": [
            {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {"type": "array", "minItems": 1},
            },
            {"type": "array", "minItems": 1, "items": {"type": "object"}},
        ],
    }
    return _referring(schema)


def _referring(schema: Any) -> Any:
    """Component fields, which say only their kind, as references to the kind's schema."""
    if isinstance(schema, dict):
        kind = schema.get("x-component")
        rest = {key: _referring(value) for key, value in schema.items() if key != "x-component"}
        return {"$ref": f"#/$defs/{kind}", **rest} if kind else rest
    return [_referring(item) for item in schema] if isinstance(schema, list) else schema


class _Schema(GenerateJsonSchema):
    """pydantic's generator, with component defaults as plain names."""

    def encode_default(self, dft: Any) -> Any:
        """A section's defaults as a mapping."""
        return (
            dft.model_dump(mode="json")
            if isinstance(dft, BaseModel)
            else super().encode_default(dft)
        )


def _kind_schema(kind: str) -> dict[str, Any]:
    variants = []
    for name in registry.names(kind):
        cls = registry.get(kind, name)
        own = registry.options(cls).model_json_schema(
            schema_generator=_Schema, ref_template="#/$defs/{model}"
        )
        variants.append(
            {
                "type": "object",
                "title": name,
                "description": _first_line(cls),
                "additionalProperties": False,
                "properties": {"name": {"const": name}, **own.get("properties", {})},
                "required": ["name", *own.get("required", [])],
            }
        )
    return {"anyOf": [{"enum": registry.names(kind)}, *variants]}
