"""The axes of a sweep: what each of their values changes, and how it is called."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from gradscope.components import registry
from gradscope.components.marks import Mapping, Sequence, Where
from gradscope.components.mistakes import Mistakes
from gradscope.components.options import kind_of
from gradscope.components.suggestions import shown, suggest
from gradscope.errors import ConfigError, UnknownNameError


@dataclass(frozen=True)
class Choice:
    """One value of an axis: its label, and the changes it makes (dotted key, value, place)."""

    label: str
    changes: tuple[tuple[str, object, Where], ...]


def axes_of(
    sweep: object, model: type[BaseModel], place: Where, mistakes: Mistakes
) -> dict[str, list[Choice]]:
    """The axes of a sweep by name, with what each value of theirs changes.

    Args:
        sweep: the file's sweep; None gives no axis.
        model: the pydantic model of the settings.
        place: of the sweep in the file.
        mistakes: gathers what is wrong with each axis.

    Raises:
        ConfigError: for what is no sweep.
    """
    if sweep is None:
        return {}
    if isinstance(sweep, list):
        return {"variant": _zip_axis("sweep", sweep, place)}
    if not isinstance(sweep, Mapping):
        raise ConfigError(
            "should map dotted keys to lists, or be a list of mappings", where=place, key="sweep"
        )
    if not sweep:
        raise ConfigError(
            "is empty; give it at least one axis, such as 'seed: [0, 1, 2]', or leave it out",
            where=place,
            key="sweep",
        )
    axes = {}
    for key, values in sweep.items():
        with mistakes.noted():
            axes[key] = _axis(key, values, sweep.places[key], model)
    return axes


def _axis(key: str, values: object, where: Where, model: type[BaseModel]) -> list[Choice]:
    path = f"sweep.{key}"
    if not isinstance(values, Sequence) or not values:
        raise ConfigError(_no_list(key, values, model), where=where, key=path)
    if key.split(".")[0] in model.model_fields:
        placed = zip(values, values.places, strict=True)
        return [Choice(_label(key, value), ((key, value, at),)) for value, at in placed]
    if all(isinstance(value, Mapping) for value in values):
        return _zip_axis(path, values, where)
    homes = _homes(key, model)
    hint = suggest(key, model.model_fields)
    if homes:
        hint = f"did you mean {homes[0]!r}? known: {', '.join(model.model_fields)}"
    raise UnknownNameError(
        f"is not a key of an experiment; {hint} "
        "(an axis with a name of its own takes a list of mappings)",
        where=where,
        key=path,
    )


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


def _no_list(key: str, values: object, model: type[BaseModel]) -> str:
    """What is wrong with an axis that is no list, or an empty one."""
    if isinstance(values, list):
        return "is empty; give at least one value"
    said = f"should be a list of values, got {shown(values)}"
    if not isinstance(values, Mapping) or not values:
        return f"{said}; give at least one value, such as [{shown(values)}]"
    label = next(iter(values))
    known = key.split(".")[0] in model.model_fields
    inner = f"{key}: ..." if known else "..."
    of_its_own = f" under a name of its own, such as {key.split('.')[-1]}s:" if known else ":"
    return f"{said}; values with labels are a list{of_its_own} [{{label: {label}, {inner}}}, ...]"


def _zip_axis(path: str, values: list[object], place: Where) -> list[Choice]:
    if not values:
        raise ConfigError("is empty; give at least one mapping", where=place, key=path)
    choices = []
    for index, value in enumerate(values):
        if not isinstance(value, Mapping):
            raise ConfigError(
                f"every item should be a mapping of dotted keys to values, got {shown(value)}",
                where=place,
                key=f"{path}[{index}]",
            )
        changes = tuple((k, item, value.places[k]) for k, item in value.items() if k != "label")
        label = value.get("label") or ", ".join(_label(key, item) for key, item, _ in changes)
        choices.append(Choice(str(label), changes))
    labels = [choice.label for choice in choices]
    if repeated := next((label for label in labels if labels.count(label) > 1), None):
        raise ConfigError(
            f"two items carry the label {shown(repeated)}; give each its own", where=place, key=path
        )
    return choices


def _label(key: str, value: object) -> str:
    """A value in a few words, such as ``hidden size 64`` or ``gru, value (max value 2.0)``."""
    last = key.split(".")[-1]
    if isinstance(value, Mapping):
        rest = ", ".join(_label(k, v) for k, v in value.items() if k != "name")
        parts = (str(value.get("name", last)), f"({rest})" if rest else "")
        return " ".join(part for part in parts if part)
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        names = [_label(key, v) if isinstance(v, str | Mapping) else str(v) for v in value]
        return f"{last.replace('_', ' ')} {', '.join(names) or 'none'}"
    if value is None or isinstance(value, bool):
        return f"{last.replace('_', ' ')} {'null' if value is None else str(value).lower()}"
    return f"{last.replace('_', ' ')} {shown(value)}"


def section_of(annotation: object) -> type[BaseModel] | None:
    """The model of a section of the settings; None of any other field."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None
