"""Options of components: from mappings, with their places in a file, to frozen values, and back.

``Named("cell")`` as an annotation makes a field hold a component of that kind, written in YAML as a
name (``cell: lstm``) or as a mapping with a name and options
(``cell: {name: lstm, hidden_size: 64}``).
"""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from typing import TypeVar, get_args

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails, core_schema

from gradscope.components import registry
from gradscope.components.base import Component, class_of, name_of
from gradscope.components.marks import Mapping, Sequence
from gradscope.components.suggestions import suggest
from gradscope.errors import ConfigError, MissingOptionError, UnknownNameError

_M = TypeVar("_M", bound=BaseModel)

#: pydantic's errors in the order in which they are told; the first one alone is
_ORDER = {"extra_forbidden": 0, "missing": 2}


class Named:
    """Annotation of a field that holds a component of ``kind``, given by name or as a mapping."""

    def __init__(self, kind: str):
        self.kind = kind

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda value: component(self.kind, value),
            serialization=core_schema.plain_serializer_function_ser_schema(dump),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"x-component": self.kind}


class OneOf:
    """Annotation of a field that holds one of these values, such as names known at import only."""

    def __init__(self, *values: str):
        self.values = values

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.literal_schema(list(self.values))


def kind_of(field: FieldInfo) -> str | None:
    """The kind of component that a field holds, None for any other field."""
    return next((meta.kind for meta in field.metadata if isinstance(meta, Named)), None)


def component(kind: str, value: object, *, place: object = None, key: str = "") -> Component:
    """A component, or its options, from its name, from a mapping with ``name``, or as it is.

    Raises:
        UnknownNameError: for a name, or an option, that does not exist.
        MissingOptionError: if an option without a default is not given.
        ConfigError: for a value of the wrong type.
    """
    if isinstance(value, Component):
        return _of_kind(kind, value, place, key)
    if isinstance(value, str):
        value = {"name": value}
    known = ", ".join(registry.names(kind))
    if not isinstance(value, AbstractMapping):
        raise ConfigError(
            f"should be a {kind}'s name or a mapping with 'name', got {_shown(value)}; "
            f"known: {known}",
            where=place,
            key=key,
        )
    where, key = _here(value, place), getattr(value, "path", "") or key
    if "name" not in value:
        raise ConfigError(f"a {kind} needs 'name'; known: {known}", where=where, key=key)
    name = value["name"]
    if not isinstance(name, str):
        wrong = f"should be one name, got {_shown(name)}"
        if isinstance(name, list):
            wrong += f"; to run several, sweep over them: 'sweep: {{{key or kind}.name: [...]}}'"
        raise ConfigError(wrong, where=_place_of(value, "name", place), key=_join(key, "name"))
    try:
        cls = registry.get(kind, name)
    except UnknownNameError as error:
        raise error.at(_place_of(value, "name", place), _join(key, "name")) from None
    model = registry.options(cls)
    owner = f"the {kind} {name!r}"
    return validated(model, value, owner=owner, place=place, key=key, skip="name")


def _of_kind(kind: str, value: Component, place: object, key: str) -> Component:
    """What has been made already, if it is of that kind."""
    name, other = name_of(type(value)), getattr(class_of(type(value)), "component_kind", "")
    if other != kind:
        raise ConfigError(f"should be a {kind}, got the {other} {name!r}", where=place, key=key)
    return value


def validated(
    model: type[_M],
    value: AbstractMapping[str, object],
    *,
    owner: str,
    place: object = None,
    key: str = "",
    skip: str | None = None,
) -> _M:
    """``model`` from a mapping; the first thing wrong becomes an error that names its place.

    Args:
        model: the pydantic model of the options.
        value: a mapping, with marks where it came from a file.
        owner: what the options belong to, for the message.
        place: where the mapping stands, if it does not know itself.
        key: its dotted key, likewise.
        skip: a key that is not an option.

    Raises:
        ConfigError: of the class that fits, as ``component``.
    """
    content = {option: item for option, item in value.items() if option != skip}
    if isinstance(value, Mapping):
        for option, item in content.items():
            if option in model.model_fields:
                content[option] = _placed(
                    model.model_fields[option],
                    item,
                    _place_of(value, option, place),
                    _join(value.path or key, option),
                )
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problem = min(error.errors(include_url=False), key=lambda e: _ORDER.get(e["type"], 1))
        location = [p for p in problem["loc"] if not str(p).startswith("function")]
        where, at = _located(value, location, place, key)
        raise _translated(problem, location, model, owner, where, at) from None


def _placed(field: FieldInfo, item: object, place: object, key: str) -> object:
    """Components given by a bare name, which has no place of its own, made where it is known."""
    kind = kind_of(field)
    if kind is not None:
        return item if isinstance(item, Mapping) else component(kind, item, place=place, key=key)
    if isinstance(item, Sequence):
        named = next(iter(_named_items(field.annotation)), None)
        if named is not None:
            return [
                part
                if isinstance(part, Mapping)
                else component(named.kind, part, place=at, key=f"{key}[{index}]")
                for index, (part, at) in enumerate(zip(item, item.places, strict=True))
            ]
    return item


def _named_items(annotation: object) -> list[Named]:
    """The ``Named`` of a list's items, looking through optional types."""
    named = [m for m in getattr(annotation, "__metadata__", ()) if isinstance(m, Named)]
    return named + [inner for part in get_args(annotation) for inner in _named_items(part)]


def _translated(
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
            f"{owner} needs {last!r}{about}", where=where, key=_join(key, last)
        )
    if problem["type"] == "value_error":
        return ConfigError(str(problem.get("ctx", {})["error"]), where=where, key=key)
    message = problem["msg"].replace("Input should be", "should be")
    return ConfigError(f"{message}, got {_shown(problem['input'])}", where=where, key=key)


def _located(
    value: object, location: list[int | str], place: object, key: str
) -> tuple[object, str]:
    """The place and the dotted key of a part of a value."""
    node, where, key = value, _here(value, place), getattr(value, "path", "") or key
    for part in location:
        if isinstance(node, AbstractMapping) and part in node:
            where, key, node = _place_of(node, str(part), where), _join(key, str(part)), node[part]
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


def dump(value: object) -> object:
    """A component, or anything made of them, as plain JSON values.

    Components become ``{"name": ..., options}``, defaults written out.
    """
    if isinstance(value, BaseModel):
        return as_mapping(value)
    if isinstance(value, AbstractMapping):
        return {key: dump(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [dump(item) for item in value]
    return value


def as_mapping(value: BaseModel) -> dict[str, object]:
    """``dump`` of a component or section."""
    content = {key: dump(getattr(value, key)) for key in type(value).model_fields}
    return {"name": value.name, **content} if isinstance(value, Component) else content


def _shown(value: object) -> str:
    text = repr(dict(value)) if isinstance(value, AbstractMapping) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _here(value: object, fallback: object) -> object:
    return getattr(value, "place", None) or fallback


def _place_of(value: object, key: str, fallback: object) -> object:
    place = value.places.get(key) if isinstance(value, Mapping) else None
    return place or _here(value, fallback)
