"""Options of components: from mappings (with their places in a file) to validated, frozen values,
and back.

``Named("cell")`` as an annotation makes a field hold a component of that kind, written in YAML as a
name (``cell: lstm``) or as a mapping with a name and options (``cell: {name: lstm, hidden_size:
64}``).
"""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import core_schema

from gradscope.components import registry
from gradscope.components.marks import Mapping, Sequence
from gradscope.errors import ConfigError

_M = TypeVar("_M", bound=BaseModel)


class Named:
    """Annotation of a field that holds a component of ``kind``: validated from YAML, dumped to a
    plain mapping.
    """

    def __init__(self, kind: str):
        self.kind = kind

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda value: component(self.kind, value),
            serialization=core_schema.plain_serializer_function_ser_schema(dump),
        )

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {"x-component": self.kind}


def component(kind: str, value: Any, *, place: object = None, key: str = "") -> BaseModel:
    """The options of a component from its name, from a mapping with ``name``, or as they are.

    Raises:
        ConfigError: for an unknown name, an unknown option, or a value of the wrong type.
    """
    if isinstance(value, BaseModel) and hasattr(value, "_gradscope_name"):
        return value
    if isinstance(value, str):
        value = {"name": value}
    known = ", ".join(registry.names(kind))
    if not isinstance(value, AbstractMapping):
        raise ConfigError(
            f"should be a {kind}'s name or a mapping with 'name', got {_shown(value)}; known:"
            f" {known}",
            where=place,
            key=key,
        )
    where, key = _here(value, place), getattr(value, "path", "") or key
    if "name" not in value:
        raise ConfigError(f"a {kind} needs 'name'; known: {known}", where=where, key=key)
    if not isinstance(value["name"], str):
        wrong = f"should be one name, got {_shown(value['name'])}"
        if isinstance(value["name"], list):
            wrong += f"; to run several, sweep over them: 'sweep: {{{key or kind}.name: [...]}}'"
        raise ConfigError(wrong, where=_place_of(value, "name", place), key=_join(key, "name"))
    try:
        cls = registry.get(kind, value["name"])
    except ConfigError as error:
        raise ConfigError(
            error.message, where=_place_of(value, "name", place), key=_join(key, "name")
        ) from None
    return validated(
        registry.options(cls),
        value,
        owner=f"the {kind} {value['name']!r}",
        place=place,
        skip="name",
    )


def validated(
    model: type[_M], value: Any, *, owner: str, place: object = None, skip: str | None = None
) -> _M:
    """``model`` from a mapping; the first thing wrong becomes a ``ConfigError`` that names its
    place.

    Args:
        model: the pydantic model of the options.
        value: a mapping, with marks where it came from a file.
        owner: what the options belong to, for the message.
        place: where the mapping stands, if it does not know itself.
        skip: a key that is not an option.
    """
    content = {key: item for key, item in value.items() if key != skip}
    if isinstance(value, Mapping):
        for key, item in content.items():
            if key in model.model_fields:
                content[key] = _placed(
                    model.model_fields[key],
                    item,
                    _place_of(value, key, place),
                    _join(value.path, key),
                )
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problem = min(error.errors(include_url=False), key=lambda e: _ORDER.get(e["type"], 1))
        raise _translate(problem, model, value, owner, place) from None


def _placed(field: Any, item: Any, place: object, key: str) -> Any:
    """Components given by a bare name, which cannot carry its own place, made here, where the place
    is known.
    """
    for named in (meta for meta in field.metadata if isinstance(meta, Named)):
        return (
            item if isinstance(item, Mapping) else component(named.kind, item, place=place, key=key)
        )
    if isinstance(item, Sequence):
        for named in _named_items(field.annotation):
            return [
                (
                    part
                    if isinstance(part, Mapping)
                    else component(named.kind, part, place=at, key=f"{key}[{index}]")
                )
                for index, (part, at) in enumerate(zip(item, item.places, strict=True))
            ]
    return item


def _named_items(annotation: Any) -> list[Named]:
    """The ``Named`` of a list's items, looking through optional types."""
    found = [meta for meta in getattr(annotation, "__metadata__", ()) if isinstance(meta, Named)]
    return found + [named for argument in get_args(annotation) for named in _named_items(argument)]


_ORDER = {"extra_forbidden": 0, "missing": 2}


def _translate(
    problem: Any, model: type[BaseModel], value: Any, owner: str, place: object
) -> ConfigError:
    node, location = (
        value,
        [
            part
            for part in problem["loc"]
            if not (isinstance(part, str) and part.startswith("function"))
        ],
    )
    where, key = _here(value, place), getattr(value, "path", "")
    for part in location:
        if isinstance(node, AbstractMapping) and part in node:
            where, key, node = _place_of(node, part, where), _join(key, str(part)), node[part]
        elif isinstance(node, list) and isinstance(part, int) and part < len(node):
            places = getattr(node, "places", None)
            where, key, node = (
                (places[part] if places else None) or where,
                f"{key}[{part}]",
                node[part],
            )
    last = str(location[-1]) if location else ""
    if problem["type"] == "extra_forbidden":
        known = list(_fields(model, location[:-1]))
        hint = registry.suggest(last, known) if known else "it has no options"
        return ConfigError(f"{owner} has no option {last!r}; {hint}", where=where, key=key)
    if problem["type"] == "missing":
        field = model.model_fields.get(last)
        about = f" ({field.description})" if field is not None and field.description else ""
        return ConfigError(f"{owner} needs {last!r}{about}", where=where, key=_join(key, last))
    message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "should be")
    if problem["type"] != "value_error":
        message += f", got {_shown(problem['input'])}"
    return ConfigError(message, where=where, key=key)


def _fields(model: type[BaseModel], path: list[Any]) -> dict[str, Any]:
    for part in path:
        field = model.model_fields.get(part) if isinstance(part, str) else None
        if field is None:
            continue
        inner = field.annotation
        for candidate in (inner, *getattr(inner, "__args__", ())):
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                model = candidate
    return model.model_fields


def dump(value: Any) -> Any:
    """A component (or anything made of them) as plain JSON values; components become ``{"name":
    ..., options}``.
    """
    if isinstance(value, BaseModel):
        content = {key: dump(getattr(value, key)) for key in type(value).model_fields}
        return (
            {"name": registry.name_of(type(value)), **content}
            if hasattr(value, "_gradscope_name")
            else content
        )
    if isinstance(value, AbstractMapping):
        return {key: dump(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [dump(item) for item in value]
    return value


def _shown(value: Any) -> str:
    text = repr(dict(value)) if isinstance(value, AbstractMapping) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _here(value: Any, fallback: object) -> object:
    place = getattr(value, "place", None)
    return place or fallback


def _place_of(value: Any, key: str, fallback: object) -> object:
    place = getattr(value, "places", {}).get(key)
    return place or _here(value, fallback)
