"""The YAML reference, read off the JSON Schema of experiment files."""

from __future__ import annotations

import json
from collections.abc import Mapping

from gradscope.components import registry

#: sections with a heading of their own, in the order of the page
_SECTIONS = {
    "model": "ModelSection",
    "training": "TrainingSection",
    "evaluation": "EvaluationSection",
    "expect": "Expectation",
}
_REFERENCE = "#/$defs/"
_BOUNDS = {
    "minimum": "≥",
    "exclusiveMinimum": ">",
    "maximum": "≤",
    "exclusiveMaximum": "<",
    "minLength": "length ≥",
    "maxLength": "length ≤",
    "minItems": "length ≥",
}

Schema = Mapping[str, object]


def page(schema: Schema) -> str:
    """The page of all keys of an experiment file."""
    properties = _mapping(schema["properties"])
    definitions = _mapping(schema["$defs"])
    text = [
        "# Experiment files",
        "Every key that an experiment file may have, read off the JSON Schema that "
        "`gradscope schema` prints. A key that is not here is refused, with its place in the file. "
        "`--set training.steps=500` sets a key from the command line, and an axis of `sweep` is "
        "such a dotted key.",
        "## Top level",
        table(properties, required=_list(schema.get("required"))),
    ]
    for key, name in _SECTIONS.items():
        section = _mapping(definitions[name])
        text += [f"## {key}", str(section.get("description", "")).split("\n")[0]]
        text.append(table(_mapping(section["properties"]), _list(section.get("required"))))
    return "\n\n".join(text) + "\n"


def table(properties: Schema, required: list[object] | None = None) -> str:
    """Keys, what they take, their defaults and what they are, as a table."""
    described = any(_mapping(about).get("description") for about in properties.values())
    head = ["key", "takes", "default", *(["what it is"] if described else [])]
    rows = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for key, value in properties.items():
        about = _mapping(value)
        cells = [f"`{key}`", takes(about), _default(key, about, required or [])]
        if described:
            cells.append(_plain(str(about.get("description", ""))))
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def takes(about: Schema) -> str:
    """What a key takes, in words: its type, its choices, its bounds."""
    if reference := about.get("$ref"):
        name = str(reference).removeprefix(_REFERENCE)
        if name in registry.FOLDERS:
            article = "an" if name[0] in "aeiou" else "a"
            return f"{article} [{name}]({registry.FOLDERS[name]}.md)"
        key = next((key for key, section in _SECTIONS.items() if section == name), name)
        return f"[a mapping](#{key})"
    if "enum" in about:
        return ", ".join(f"`{choice}`" for choice in _list(about["enum"]))
    if "const" in about:
        return f"`{about['const']}`"
    if "anyOf" in about:
        kinds = [takes(_mapping(one)) for one in _list(about["anyOf"])]
        return " or ".join(dict.fromkeys(kinds))
    kind = str(about.get("type", "anything"))
    if kind == "array":
        items = about.get("items")
        return f"a list: {takes(_mapping(items))}" if items else "a list"
    if kind == "object":
        values = about.get("additionalProperties")
        return f"a mapping to {takes(values)}" if isinstance(values, Mapping) else "a mapping"
    bounds = [f"{sign} {_number(about[key])}" for key, sign in _BOUNDS.items() if key in about]
    return ", ".join([{"null": "`null`"}.get(kind, kind), *bounds])


def _number(value: object) -> str:
    """A bound; powers of two that only a machine would write as such."""
    return (
        {2**63: "2⁶³", 10**12: "10¹²"}.get(value, str(value))
        if isinstance(value, int)
        else str(value)
    )


def _default(key: str, about: Schema, required: list[object]) -> str:
    if "default" not in about:
        return "required" if key in required else ""
    value = about["default"]
    if isinstance(value, Mapping):
        return "as below" if key in _SECTIONS else f"`{json.dumps(value, ensure_ascii=False)}`"
    return f"`{value if isinstance(value, str) and value else json.dumps(value)}`"


def _plain(words: str) -> str:
    """Running text whose signs are meant as they stand."""
    for sign in "\\*_<":
        words = words.replace(sign, {"<": "&lt;"}.get(sign, "\\" + sign))
    return words


def _mapping(value: object) -> Schema:
    assert isinstance(value, Mapping)
    return value


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else []
