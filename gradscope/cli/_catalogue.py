"""What exists: in words, read off the registry."""

from __future__ import annotations

import inspect
import textwrap

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gradscope.components import registry, suggest
from gradscope.components.options import kind_of
from gradscope.errors import UnknownNameError
from gradscope.experiment.shipped import shipped

_WIDTH = 100
#: where the second column begins
_INDENT = 23
#: what is listed beside the kinds of components
_EXPERIMENT = "experiment"


def text(kind: str | None = None, name: str | None = None) -> str:
    """All kinds, the components of one, or one component in full.

    Raises:
        UnknownNameError: for a kind or a name that does not exist.
    """
    if kind is None:
        kinds = [_components(known) for known in registry.FOLDERS]
        return "\n\n".join([*kinds, _experiments(), "More: gradscope list KIND NAME"])
    if kind in (_EXPERIMENT, "experiments"):
        return _experiments()
    singular = next((k for k, folder in registry.FOLDERS.items() if kind in (k, folder)), None)
    if singular is None:
        known = [*registry.FOLDERS, _EXPERIMENT]
        raise UnknownNameError(
            f"there is no kind of component called {kind!r}; {suggest(kind, known)}"
        )
    return _components(singular) if name is None else _component(singular, name)


def _components(kind: str) -> str:
    """The components of a kind, each with its options."""
    lines = [kind]
    for name in registry.names(kind):
        cls = registry.get(kind, name)
        lines.append(f"  {name:<{_INDENT - 3}} {first_sentence(cls)}")
        fields = registry.options(cls).model_fields
        options = ", ".join(f"{key}={_default(field)}" for key, field in fields.items())
        if options:
            lines.append(_paragraph(options, _INDENT))
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


def _experiments() -> str:
    """The experiments that come with gradscope."""
    lines = [_EXPERIMENT]
    for name, path in shipped().items():
        if path.is_file():
            question = _question(path.read_text(encoding="utf-8"))
            lines += [f"  {name}", _paragraph(question, 6)]
    return "\n".join(lines)


def _question(yaml: str) -> str:
    from gradscope.components import marks

    return str(marks.read(yaml, "").get("question", ""))


def _paragraph(words: str, indent: int) -> str:
    margin = " " * indent
    return textwrap.fill(words, _WIDTH, initial_indent=margin, subsequent_indent=margin)


def first_sentence(cls: type) -> str:
    """What a component is, in one line."""
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
