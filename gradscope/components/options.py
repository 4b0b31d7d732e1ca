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
from pydantic_core import CoreSchema, core_schema

from gradscope.components import registry
from gradscope.components.base import Component, class_of, name_of
from gradscope.components.marks import Mapping, Sequence
from gradscope.components.mistakes import Mistakes
from gradscope.components.suggestions import nearest, shown
from gradscope.components.translation import (
    joined,
    located,
    place_of,
    translated,
    unread,
    without,
)
from gradscope.errors import ConfigError, ConfigErrors, UnknownNameError

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
            f"should be a {kind}'s name or a mapping with 'name', got {shown(value)}; "
            f"known: {known}",
            where=place,
            key=key,
        )
    where, key = getattr(value, "place", None) or place, getattr(value, "path", "") or key
    if "name" in unread(value, ["name"]):
        raise ConfigErrors("")  # what is wrong with it has been told
    if "name" not in value:
        raise ConfigError(f"a {kind} needs 'name'; known: {known}", where=where, key=key)
    name = value["name"]
    if not isinstance(name, str):
        wrong = f"should be one name, got {shown(name)}"
        if isinstance(name, list):
            wrong += f"; to run several, sweep over them: 'sweep: {{{key or kind}.name: [...]}}'"
        raise ConfigError(wrong, where=place_of(value, "name", place), key=joined(key, "name"))
    try:
        cls = registry.get(kind, name)
    except UnknownNameError as error:
        raise error.at(place_of(value, "name", place), joined(key, "name")) from None
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
    """``model`` from a mapping; all that is wrong becomes errors that name their places.

    Args:
        model: the pydantic model of the options.
        value: a mapping, with marks where it came from a file.
        owner: what the options belong to, for the message.
        place: where the mapping stands, if it does not know itself.
        key: its dotted key, likewise.
        skip: a key that is not an option.

    Raises:
        ConfigError: of the class that fits, as ``component``; ConfigErrors for several mistakes.
    """
    mistakes = Mistakes()
    made = attempted(model, value, mistakes, owner=owner, place=place, key=key, skip=skip)
    mistakes.raise_any()
    if made is None:
        raise ConfigErrors("")  # what is wrong with it has been told
    return made


def attempted(
    model: type[_M],
    value: AbstractMapping[str, object],
    mistakes: Mistakes,
    *,
    owner: str,
    place: object = None,
    key: str = "",
    skip: str | None = None,
) -> _M | None:
    """As ``validated``, but mistakes are gathered, and what is wrong is left at its default.

    None where nothing can be made of the mapping so.
    """
    content, wrong = _with_components(model, value, mistakes, place, key)
    content.pop(skip or "", None)
    try:
        return model.model_validate(content)
    except ConfigError as error:
        mistakes.add(error)
        return None
    except ValidationError as error:
        problems = [
            (problem, [p for p in problem["loc"] if not str(p).startswith("function")])
            for problem in error.errors(include_url=False)
        ]
    unknown = [str(at[-1]) for problem, at in problems if problem["type"] == "extra_forbidden"]
    told: set[str] = set()  # of the members of a union, what the first one says is enough
    for problem, at in problems:
        where, path = located(value, at, place, key)
        if problem["type"] == "missing":
            if at[-1] in wrong | unread(value, at) or nearest(at[-1], unknown):
                continue
        elif path in told:
            continue
        told.add(path)
        mistakes.add(translated(problem, at, model, owner, where, path))
        content = without(content, at)
    try:
        return model.model_validate(content)
    except (ConfigError, ValidationError):
        return None


def _with_components(
    model: type[BaseModel],
    value: AbstractMapping[str, object],
    mistakes: Mistakes,
    place: object,
    key: str,
) -> tuple[dict[str, object], set[str]]:
    """The options with their components made, and those whose component is wrong, which are out."""
    content, wrong = dict(value), set[str]()
    for option, item in value.items():
        field = model.model_fields.get(option)
        if field is None or not isinstance(value, Mapping):
            continue
        where, path = place_of(value, option, place), joined(value.path or key, option)
        try:
            content[option] = _placed(field, item, where, path)
        except ConfigError as error:
            mistakes.add(error)
            wrong.add(option)
            del content[option]
    return content, wrong


def _placed(field: FieldInfo, item: object, place: object, key: str) -> object:
    """The components of a field, made where their places are known; other values as they are."""
    kind = kind_of(field)
    if kind is not None:
        return component(kind, item, place=place, key=key)
    named = next(iter(_named_items(field.annotation)), None)
    if not isinstance(item, Sequence) or named is None:
        return item
    made, mistakes = Sequence(item.path, item.place), Mistakes()
    for index, (part, at) in enumerate(zip(item, item.places, strict=True)):
        with mistakes.noted():
            made.append(component(named.kind, part, place=at, key=f"{key}[{index}]"))
            made.places.append(at)
    mistakes.raise_any()
    return made


def _named_items(annotation: object) -> list[Named]:
    """The ``Named`` of a list's items, looking through optional types."""
    named = [m for m in getattr(annotation, "__metadata__", ()) if isinstance(m, Named)]
    return named + [inner for part in get_args(annotation) for inner in _named_items(part)]


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
