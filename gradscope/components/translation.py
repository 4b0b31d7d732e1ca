"""pydantic's errors in the words, and with the places, of the file that the values come from."""

from __future__ import annotations

import re
from collections.abc import Mapping as AbstractMapping
from typing import get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gradscope.components.marks import Mapping, Sequence
from gradscope.components.registry import FOLDERS, names
from gradscope.components.suggestions import nearest, shown, suggest
from gradscope.errors import ConfigError, MissingOptionError, UnknownNameError

_NUMBER, _WHOLE = "should be a number, such as 0.01", "should be a whole number, such as 20"
#: pydantic's kinds of error whose words are said more plainly
_NUMBERS = {
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "int_parsing": _WHOLE,
    "int_type": _WHOLE,
    "int_from_float": _WHOLE,
}


def translated(
    problem: ErrorDetails,
    location: list[int | str],
    model: type[BaseModel],
    owner: str,
    where: object,
    key: str,
) -> ConfigError:
    """pydantic's error in the words and with the place of the file."""
    last = str(location[-1]) if location else ""
    if problem["type"] == "extra_forbidden":
        known = list(_fields(model, location[:-1]))
        hint = suggest(last, known) if known else "it has no options"
        return UnknownNameError(f"{owner} has no option {last!r}; {hint}", where=where, key=key)
    if problem["type"] == "missing":
        field = model.model_fields.get(last)
        about = f" ({field.description})" if field is not None and field.description else ""
        return MissingOptionError(
            f"{owner} needs {last!r}{about}", where=where, key=joined(key, last)
        )
    if problem["type"] == "value_error":
        return ConfigError(str(problem.get("ctx", {})["error"]), where=where, key=key)
    message = _NUMBERS.get(problem["type"]) or problem["msg"].replace(
        "Input should be", "should be"
    )
    got = shown(problem["input"])
    if problem["type"] in ("model_type", "model_attributes_type"):
        message = f"should be a mapping of {', '.join(_fields(model, location))}"
        kinds = [kind for kind in FOLDERS if problem["input"] in names(kind)]
        got += "".join(f"; it is a {kind}, so write it as {kind!r}" for kind in kinds[:1])
    if problem["type"] == "literal_error":
        choices = re.findall("'([^']*)'", str(problem.get("ctx", {})["expected"]))
        got += "".join(f"; did you mean {near!r}?" for near in nearest(problem["input"], choices))
    return ConfigError(f"{message}, got {got}", where=where, key=key)


def located(
    value: object, location: list[int | str], place: object, key: str
) -> tuple[object, str]:
    """The place and the dotted key of a part of a value."""
    node, where, key = value, _here(value, place), getattr(value, "path", "") or key
    for part in location:
        if isinstance(node, AbstractMapping) and part in node:
            where, key, node = place_of(node, str(part), where), joined(key, str(part)), node[part]
        elif isinstance(node, list) and isinstance(part, int) and part < len(node):
            places = node.places if isinstance(node, Sequence) else None
            where = (places[part] if places else None) or where
            key, node = f"{key}[{part}]", node[part]
    return where, key


def _fields(model: type[BaseModel], path: list[int | str]) -> dict[str, FieldInfo]:
    """The fields of the section that a path leads to."""
    for part in path:
        field = model.model_fields.get(part) if isinstance(part, str) else None
        if field is None:
            continue
        inner = field.annotation
        for candidate in (inner, *get_args(inner)):
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                model = candidate
    return model.model_fields


def joined(path: str, key: str) -> str:
    """The dotted key of an option of what stands at a path."""
    return f"{path}.{key}" if path else key


def _here(value: object, fallback: object) -> object:
    return getattr(value, "place", None) or fallback


def place_of(value: object, key: str, fallback: object) -> object:
    """Where the value of a key stands, or the mapping that should have it."""
    place = value.places.get(key) if isinstance(value, Mapping) else None
    return place or _here(value, fallback)


def unread(value: object, at: list[int | str]) -> set[str]:
    """The keys that could not be read of the mapping that a place lies in."""
    for part in at[:-1]:
        if isinstance(value, AbstractMapping):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int):
            value = value[part] if part < len(value) else None
    return value.unread if isinstance(value, Mapping) else set()


def without(content: AbstractMapping[str, object], at: list[int | str]) -> dict[str, object]:
    """A mapping without the innermost option on the way to a place in it."""
    first, rest = (str(at[0]) if at else ""), at[1:]
    kept, inner = dict(content), content.get(first)
    if rest and isinstance(inner, AbstractMapping) and rest[0] in inner:
        kept[first] = without(inner, rest)
    else:
        kept.pop(first, None)
    return kept
