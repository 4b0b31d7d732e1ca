"""Choice: one value of an axis of a sweep, what it changes, and how it is called."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from gradscope.components import registry
from gradscope.components.marks import Mapping, Where
from gradscope.components.options import kind_of
from gradscope.components.suggestions import shown, suggest
from gradscope.errors import UnknownNameError

#: trials of one run
MOST_TRIALS = 10_000


@dataclass(frozen=True)
class Choice:
    """One value of an axis: its label, and the changes it makes (dotted key, value, place)."""

    label: str
    changes: tuple[tuple[str, object, Where], ...]


def label_of(key: str, value: object) -> str:
    """A value in a few words, such as ``hidden size 64`` or ``gru, value (max value 2.0)``."""
    last = key.split(".")[-1]
    if isinstance(value, Mapping):
        rest = ", ".join(label_of(k, v) for k, v in value.items() if k != "name")
        parts = (str(value.get("name", last)), f"({rest})" if rest else "")
        return " ".join(part for part in parts if part)
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        names = [label_of(key, v) if isinstance(v, str | Mapping) else str(v) for v in value]
        return f"{last.replace('_', ' ')} {', '.join(names) or 'none'}"
    if value is None or isinstance(value, bool):
        return f"{last.replace('_', ' ')} {'null' if value is None else str(value).lower()}"
    return f"{last.replace('_', ' ')} {shown(value)}"


def unknown(
    key: str, model: type[BaseModel], *, place: Where, path: str, but: str = ""
) -> UnknownNameError:
    """The error of a dotted key whose first part an experiment does not have.

    Args:
        key: as it stands in the sweep.
        model: the pydantic model of the settings.
        place: of what stands under the key.
        path: the key with that of the sweep.
        but: what else would be right, in brackets.
    """
    homes = _homes(key, model)
    hint = suggest(key, model.model_fields)
    if homes:
        hint = f"did you mean {homes[0]!r}? known: {', '.join(model.model_fields)}"
    more = f" ({but})" if but else ""
    return UnknownNameError(f"is not a key of an experiment; {hint}{more}", where=place, key=path)


def _homes(key: str, model: type[BaseModel]) -> list[str]:
    """The dotted keys that end in this one, such as ``cell.hidden_size``."""
    homes = []
    for section, field in model.model_fields.items():
        kind, own = kind_of(field), section_of(field.annotation)
        if kind is not None:
            found = registry.has_option(kind, key)
        else:
            found = own is not None and key in own.model_fields
        if found:
            homes.append(f"{section}.{key}")
    return homes


def section_of(annotation: object) -> type[BaseModel] | None:
    """The model of a section of the settings; None of any other field."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None
