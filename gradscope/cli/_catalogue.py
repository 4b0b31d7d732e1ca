"""The text of ``gradscope list``, read off the registry and the experiments that are shipped."""

from __future__ import annotations

import inspect
import textwrap
from pathlib import Path

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gradscope.components import registry, suggest
from gradscope.components.options import kind_of
from gradscope.errors import UnknownNameError
from gradscope.experiment.shipped import named, shipped

_WIDTH = 100
#: where the second column begins
_INDENT = 23
#: what is listed beside the kinds of components, in the singular and in the plural
_EXPERIMENT = "experiment", "experiments"


def text(kind: str | None = None, name: str | None = None) -> str:
    """All kinds, the components of one kind, or one component in full.

    Args:
        kind: such as "cell" or "cells", or "experiment"; None gives all.
        name: of a component, or of an experiment that comes with gradscope.

    Raises:
        UnknownNameError: for a kind or a name that does not exist.
    """
    if kind is None:
        kinds = [_components(known) for known in registry.FOLDERS]
        return "\n\n".join([*kinds, _experiments(), "More: gradscope list KIND NAME"])
    if kind in _EXPERIMENT:
        return _experiments() if name is None else _experiment(name)
    singular = next((k for k, folder in registry.FOLDERS.items() if kind in (k, folder)), None)
    if singular is None:
        known = [*registry.FOLDERS, _EXPERIMENT[0]]
        raise UnknownNameError(
            f"there is no kind of component called {kind!r}; {suggest(kind, known)}"
        )
    return _components(singular) if name is None else _component(singular, name)


# --- components ----------------------------------------------------------------------------------


def _components(kind: str) -> str:
    """The components of a kind, each with its options."""
    lines = [kind]
    for name in registry.names(kind):
        cls = registry.get(kind, name)
        margin = f"  {name:<{_INDENT - 3}} "
        lines.append(_paragraph(first_sentence(cls), margin))
        fields = registry.options(cls).model_fields
        options = ", ".join(f"{key}={_default(field)}" for key, field in fields.items())
        if options:
            lines.append(_paragraph(options, " " * _INDENT))
    return "\n".join(lines)


def _component(kind: str, name: str) -> str:
    """One component in full."""
    cls = registry.get(kind, name)
    lines = [f"{kind} {name}", "", inspect.cleandoc(cls.__doc__ or ""), ""]
    fields = registry.options(cls).model_fields
    lines.append("Options:" if fields else "No options.")
    for key, field in fields.items():
        about = f"    {field.description}" if field.description else ""
        lines.append(f"  {key}: {_type(field)} = {_default(field)}{about}")
    if criterion := getattr(cls, "criterion", None):
        lines += ["", textwrap.fill(f"Solved: {criterion}", _WIDTH)]
    return "\n".join(lines)


def first_sentence(cls: type) -> str:
    """The first paragraph of a component's docstring, in one line."""
    return inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].replace("\n", " ")


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "(required)"
    return "null" if field.default is None else str(field.default)


def _type(field: FieldInfo) -> str:
    """What a field takes, in words."""
    kind = kind_of(field)
    if kind is not None:
        return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
    annotation = field.annotation
    if isinstance(annotation, type):
        return annotation.__name__
    return str(annotation).replace("typing.", "").replace("Literal", "one of ")


# --- experiments ---------------------------------------------------------------------------------


def _experiments() -> str:
    """The experiments that come with gradscope, each with its question."""
    lines = [_EXPERIMENT[0]]
    for name, path in shipped().items():
        if path.is_file():
            lines += [f"  {name}", _paragraph(_words(path)["question"], " " * 6)]
    return "\n".join(lines)


def _experiment(name: str) -> str:
    """One experiment in full: what it asks and expects, and where its file is."""
    path = named(name)
    if path is None or path.is_dir():
        files = [known for known, place in shipped().items() if place.is_file()]
        raise UnknownNameError(
            f"no experiment called {name!r} comes with gradscope; {suggest(name, files)}"
        )
    lines = [f"{_EXPERIMENT[0]} {name}", ""]
    for key, words in _words(path).items():
        lines += [_paragraph(f"{key.capitalize()}: {words}", ""), ""] if words else []
    return "\n".join([*lines, f"File: {path}", f"Run:  gradscope run {name}"])


def _words(path: Path) -> dict[str, str]:
    """The question, the answer and the source of an experiment file."""
    from gradscope.components import marks

    content = marks.read(path.read_text(encoding="utf-8"), str(path))
    return {key: str(content.get(key, "")) for key in ("question", "answer", "source")}


def _paragraph(words: str, margin: str) -> str:
    """Words filled to the width of a page, the margin before the first line, blanks below it."""
    return textwrap.fill(words, _WIDTH, initial_indent=margin, subsequent_indent=" " * len(margin))
