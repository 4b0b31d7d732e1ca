"""What exists, as entries: components, experiments, measures, and the keys of an experiment file.

All of it is read off the registry, the models of an experiment, the measures of a summary, and the
experiments that are shipped. ``_listing`` shows it.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gradscope.components import registry
from gradscope.components.options import OneOf, dump, kind_of
from gradscope.components.suggestions import nearest, suggest
from gradscope.errors import UnknownNameError
from gradscope.experiment.schema import SWEEP, Header, Settings
from gradscope.experiment.shipped import named, shipped
from gradscope.results.measures import MEASURES, predictable

_EXPERIMENT, _MEASURE, _KEY = "experiment", "measure", "key"
#: kind to the kind in the plural, either of which may be asked for
KINDS: Mapping[str, str] = {
    **registry.FOLDERS,
    _EXPERIMENT: "experiments",
    _MEASURE: "measures",
    _KEY: "keys",
}


@dataclass(frozen=True)
class Option:
    """An option of a component, or a key within a section of an experiment.

    Attributes:
        name: of the option.
        type: what it takes, in words.
        default: as a plain value; None where it is required.
        required: whether it has no default.
        about: what it is.
    """

    name: str
    type: str
    default: object
    required: bool
    about: str


@dataclass(frozen=True)
class Entry:
    """One thing that exists.

    Attributes:
        kind: cell, task, ..., experiment, measure or key.
        name: by which it is found.
        about: what it is, in a sentence.
        text: all that is written of it.
        options: what may be set.
        facts: further headings, with their words.
    """

    kind: str
    name: str
    about: str
    text: str
    options: tuple[Option, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


def singular(word: str) -> str | None:
    """The kind that a word, in the singular or in the plural, stands for; None if there is none."""
    return next((kind for kind, plural in KINDS.items() if word in (kind, plural)), None)


def entries(kind: str) -> list[Entry]:
    """All entries of a kind.

    Raises:
        UnknownNameError: for a kind that does not exist.
    """
    known = singular(kind)
    if known is None:
        raise UnknownNameError(f"there is no kind called {kind!r}; {suggest(kind, KINDS)}")
    return [_entry(known, name) for name in _names(known)]


def entry(kind: str, name: str) -> Entry:
    """The entry of a kind and a name.

    Raises:
        UnknownNameError: if there is none.
    """
    known = singular(kind)
    if known is None:
        raise UnknownNameError(f"there is no kind called {kind!r}; {suggest(kind, KINDS)}")
    if known in registry.FOLDERS:
        return _component(known, name)
    if known == _EXPERIMENT:
        return _experiment(name)
    if name not in _names(known) and (known, name) not in _within():
        names = [*_names(known), *(inner for of, inner in _within() if of == known)]
        raise UnknownNameError(f"there is no {known} called {name!r}; {suggest(name, names)}")
    return _entry(known, name)


def found(name: str) -> list[Entry]:
    """Every entry of that name, whatever its kind; of a folder of experiments, all in it.

    Raises:
        UnknownNameError: if there is none; the message names the nearest.
    """
    exact = [_entry(kind, name) for kind in KINDS if name in _names(kind)]
    keys = [inner for _, inner in _within() if name in (inner, inner.rpartition(".")[2])]
    exact += [_entry(_KEY, inner) for inner in keys]
    path = named(name)
    if path is not None and path.is_dir():
        inside = [known for known, place in shipped().items() if place.parent == path]
        exact += [_experiment(known) for known in inside if not shipped()[known].is_dir()]
    elif path is not None and name not in _names(_EXPERIMENT):
        exact.append(_experiment(name))
    if exact or having(name):
        return exact
    known = {other: kind for kind in KINDS for other in _names(kind)}
    known |= {inner: kind for kind, inner in _within()} | dict.fromkeys(KINDS, "kind")
    near = " or ".join(f"{other!r} ({known[other]})" for other in nearest(name, known, 3))
    hint = f"did you mean {near}? " if near else ""
    raise UnknownNameError(
        f"there is no kind, and nothing else, called {name!r}; {hint}'gradscope list' names all"
    )


def having(option: str) -> list[tuple[Entry, Option]]:
    """The components that have an option of that name, each with it."""
    components = (entry for kind in registry.FOLDERS for entry in entries(kind))
    return [(of, one) for of in components for one in of.options if one.name == option]


def first_sentence(described: object) -> str:
    """The first paragraph of a docstring, in one line."""
    return (inspect.getdoc(described) or "").split("\n\n")[0].replace("\n", " ")


def _names(kind: str) -> list[str]:
    if kind in registry.FOLDERS:
        return registry.names(kind)
    if kind == _EXPERIMENT:
        return [name for name, path in shipped().items() if path.is_file()]
    if kind == _MEASURE:
        return [*predictable(), *_measures_of_tasks()]
    return [*_keys()]


def _entry(kind: str, name: str) -> Entry:
    """The entry of a name that exists."""
    if kind in registry.FOLDERS:
        return _component(kind, name)
    makers: dict[str, Callable[[str], Entry]] = {_EXPERIMENT: _experiment, _MEASURE: _measure}
    return makers.get(kind, _key)(name)


# --- components ----------------------------------------------------------------------------------


def _component(kind: str, name: str) -> Entry:
    cls = registry.get(kind, name)
    criterion = getattr(cls, "criterion", None)
    return Entry(
        kind,
        name,
        first_sentence(cls),
        inspect.cleandoc(cls.__doc__ or ""),
        _options(registry.options(cls)),
        {"solved": criterion} if criterion else {},
    )


def _options(model: type[BaseModel]) -> tuple[Option, ...]:
    return tuple(_option(name, field) for name, field in model.model_fields.items())


def _option(name: str, field: FieldInfo) -> Option:
    required = field.is_required()
    default = None if required else dump(field.get_default(call_default_factory=True))
    return Option(name, _type(field), default, required, field.description or "")


def _type(field: FieldInfo) -> str:
    """What a field takes, in words."""
    kind = kind_of(field)
    if kind is not None:
        return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
    choices = next((meta.values for meta in field.metadata if isinstance(meta, OneOf)), None)
    return _one_of(choices) if choices else _in_words(field.annotation)


def _in_words(annotation: object) -> str:
    """A type as it is written in a file: ``int | None``, ``list of int``."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _in_words(parts[0])
    if origin is typing.Literal:
        return _one_of(parts)
    if origin is list:
        return f"list of {_in_words(parts[0])}"
    if parts:
        return " | ".join(_in_words(part) for part in parts)
    return "None" if annotation is type(None) else getattr(annotation, "__name__", str(annotation))


def _one_of(values: tuple[object, ...]) -> str:
    return f"one of {', '.join(map(repr, values))}"


# --- the keys of an experiment file ---------------------------------------------------------------


def _keys() -> dict[str, FieldInfo | None]:
    """The top-level keys of an experiment file; a sweep is no field of a model."""
    return {**Header.model_fields, **Settings.model_fields, "sweep": None}


def _section(field: FieldInfo | None) -> type[BaseModel] | None:
    """The model of what a key holds, if it holds a section or a list of them."""
    if field is None or kind_of(field) is not None:
        return None
    inner = (field.annotation, *typing.get_args(field.annotation))
    return next(
        (part for part in inner if isinstance(part, type) and issubclass(part, BaseModel)), None
    )


def _within() -> list[tuple[str, str]]:
    """(key, dotted name) of every key within a section."""
    sections = ((name, _section(field)) for name, field in _keys().items())
    return [(_KEY, f"{name}.{key}") for name, of in sections if of for key in of.model_fields]


def _key(name: str) -> Entry:
    outer, _, inner = name.partition(".")
    field = _keys()[outer]
    section = _section(field)
    if inner:
        assert section is not None
        field, section = section.model_fields[inner], None
    if field is None:
        return Entry(_KEY, name, SWEEP, SWEEP)
    of = _option(name, field)
    facts = {} if section else {"takes": of.type}
    if not of.required and not section:
        facts["default"] = shown_value(of.default)
    if kind := kind_of(field):
        facts["known"] = f"gradscope list {kind}"
    return Entry(_KEY, name, of.about, of.about, _options(section) if section else (), facts)


def shown_value(value: object) -> str:
    """A plain value as it stands in YAML; of components with default options, their names."""
    if isinstance(value, list):
        return f"[{', '.join(map(shown_value, value))}]"
    if isinstance(value, dict):
        return str(value.get("name", value))
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value) or "''"


# --- measures ------------------------------------------------------------------------------------


def _measures_of_tasks() -> dict[str, tuple[str, str, str]]:
    """The measures that are a task's own: name to task, heading and unit."""
    return {
        name: (task, *words)
        for task in registry.names("task")
        for name, words in getattr(registry.get("task", task), "measure_words", {}).items()
    }


def _measure(name: str) -> Entry:
    if name in MEASURES:
        measure = MEASURES[name]
        about, heading, unit = first_sentence(measure.of), measure.heading, measure.unit
        text = inspect.getdoc(measure.of) or ""
        facts = {"over seeds": measure.scale.value, "needs": f"the table {measure.needs}"}
    else:
        task, heading, unit = _measures_of_tasks()[name]
        about = text = f"{heading.capitalize()} at the end of training, of the task {task}."
        facts = {"over seeds": "geometric"}
    printed = {"heading": heading, "unit": unit}
    return Entry(_MEASURE, name, about, text, (), {k: v for k, v in printed.items() if v} | facts)


# --- experiments ---------------------------------------------------------------------------------


def _experiment(name: str) -> Entry:
    path = named(name)
    if path is None or path.is_dir():
        raise UnknownNameError(
            f"no experiment called {name!r} comes with gradscope; "
            f"{suggest(name, _names(_EXPERIMENT))}"
        )
    words = {key: value for key, value in _words(path) if value}
    more = {"file": str(path), "run": f"gradscope run {name}"}
    return Entry(_EXPERIMENT, name, words.get("question", ""), "", (), words | more)


def _words(path: Path) -> Iterator[tuple[str, str]]:
    """The question, the answer and the source of an experiment file."""
    from gradscope.components import marks

    content = marks.read(path.read_text(encoding="utf-8"), str(path))
    for key in ("question", "answer", "source"):
        yield key, str(content.get(key, ""))
