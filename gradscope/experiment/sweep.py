"""The sweep: which settings each trial has.

``sweep`` is a mapping of axes, and the trials are their product. An axis is a dotted key with a
list of values (``cell.activation: [tanh, relu]``), or a name of your own with a list of mappings,
each of which sets several dotted keys at once (a zip) and may carry a ``label``. A sweep that is
itself a list of mappings is one such axis.

A sweep that changes a component's ``name`` keeps the base's options that the new component has too,
and leaves out the others, which belong to the old one.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from gradscope.components import registry
from gradscope.components.marks import Mapping, Place, Sequence
from gradscope.components.options import Named
from gradscope.components.registry import suggest
from gradscope.errors import ConfigError


@dataclass(frozen=True)
class Point:
    """Settings of one trial, and its label on every axis."""

    settings: Mapping
    axes: dict[str, str]


@dataclass(frozen=True)
class _Choice:
    label: str
    changes: tuple[tuple[str, Any, Place | None], ...]  # dotted key, value, place


def expand(
    base: Mapping, sweep: Any, *, model: type[BaseModel], place: Place | None
) -> list[Point]:
    """All points of the sweep over ``base``, the last axis running fastest.

    Raises:
        ConfigError: for a sweep that is empty, of the wrong shape, or that sets what does not
            exist.
    """
    axes = _axes(sweep, model, place)
    points = []
    for choices in itertools.product(*axes.values()):
        settings = base.duplicate()
        for choice in choices:
            for key, value, where in choice.changes:
                settings = applied(settings, key, value, model=model, place=where)
        points.append(
            Point(
                settings, {axis: choice.label for axis, choice in zip(axes, choices, strict=True)}
            )
        )
    return points


def without(sweep: Any, key: str) -> Any:
    """The sweep less the axis that varies ``key``, or a part of it, because it is set once and for
    all.

    Raises:
        ConfigError: if an axis varies it together with other keys.
    """

    def touches(other: str) -> bool:
        return other == key or other.startswith(f"{key}.") or key.startswith(f"{other}.")

    kept = sweep
    if isinstance(sweep, Mapping):
        kept = Mapping(sweep.path, sweep.place)
        for axis, values in sweep.items():
            if not touches(axis):
                kept.put(axis, values, sweep.places[axis])
    for name, values in [("sweep", kept)] if isinstance(kept, list) else (kept or {}).items():
        for item in values if isinstance(values, list) else []:
            if isinstance(item, Mapping) and (clash := next((k for k in item if touches(k)), None)):
                raise ConfigError(
                    f"the sweep's axis {name!r} sets {clash} with other keys; change the file",
                    where=f"--set {key}",
                )
    return kept or None


def _axes(sweep: Any, model: type[BaseModel], place: Place | None) -> dict[str, list[_Choice]]:
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
        where, path = sweep.places[key], f"sweep.{key}"
        if not isinstance(values, Sequence) or not values:
            wrong = (
                "is empty"
                if isinstance(values, list)
                else f"should be a list of values, got {values!r}"
            )
            raise ConfigError(f"{wrong}; give at least one value", where=where, key=path)
        if key.split(".")[0] in model.model_fields:
            axes[key] = [
                _Choice(_label(key, value), ((key, value, at),))
                for value, at in zip(values, values.places, strict=True)
            ]
        elif all(isinstance(value, Mapping) for value in values):
            axes[key] = _zip_axis(path, values, where)
        else:
            raise ConfigError(
                f"is not a key of an experiment; {suggest(key, list(model.model_fields))} (an axis"
                " with a name of its own takes a list of mappings)",
                where=where,
                key=path,
            )
    return axes


def _zip_axis(path: str, values: list[Any], place: Place | None) -> list[_Choice]:
    if not values:
        raise ConfigError("is empty; give at least one mapping", where=place, key=path)
    choices = []
    for index, value in enumerate(values):
        if not isinstance(value, Mapping):
            raise ConfigError(
                f"every item should be a mapping of dotted keys to values, got {value!r}",
                where=place,
                key=f"{path}[{index}]",
            )
        changes = tuple(
            (key, item, value.places[key]) for key, item in value.items() if key != "label"
        )
        label = value.get("label") or ", ".join(_label(key, item) for key, item, _ in changes)
        choices.append(_Choice(str(label), changes))
    labels = [choice.label for choice in choices]
    if repeated := next((label for label in labels if labels.count(label) > 1), None):
        raise ConfigError(
            f"two items carry the label {repeated!r}; give each its own", where=place, key=path
        )
    return choices


def _label(key: str, value: Any) -> str:
    last = key.split(".")[-1]
    if isinstance(value, Mapping):
        rest = ", ".join(_label(k, v) for k, v in value.items() if k != "name")
        return " ".join(
            part for part in (str(value.get("name", last)), f"({rest})" if rest else "") if part
        )
    if isinstance(value, str):
        return value
    shown = "null" if value is None else str(value).lower() if isinstance(value, bool) else value
    return f"{last.replace('_', ' ')} {shown}"


def applied(
    root: Mapping, dotted: str, value: Any, *, model: type[BaseModel], place: Any
) -> Mapping:
    """``root`` with ``value`` at the dotted key; components change as the module's docstring says.

    Raises:
        ConfigError: if the key cannot exist.
    """
    root = root.duplicate()
    node, parts = root, dotted.split(".")
    current: type[BaseModel] = model
    for depth, part in enumerate(parts):
        path = ".".join(parts[: depth + 1])
        if part not in current.model_fields:
            raise ConfigError(
                f"there is no option {part!r} here; {suggest(part, list(current.model_fields))}",
                where=place,
                key=dotted,
            )
        kind, inner = _kind(current, part), _section(current, part)
        if (
            kind is not None
            and part not in node
            and isinstance(current.model_fields[part].default, str)
        ):
            node.put(part, current.model_fields[part].default, place)
        if depth == len(parts) - 1:
            node.put(part, _merged(kind, node.get(part), value, path, place), place)
            return root
        if kind is None and inner is None:
            raise ConfigError(f"{path} has no options of its own", where=place, key=dotted)
        child = _normal(node.get(part), path, node.places.get(part), kind)
        if kind is not None and parts[depth + 1 :] == ["name"]:
            node.put(part, _merged(kind, child, value, path, place), place)
            return root
        if kind is not None and "name" not in child:
            raise ConfigError(
                f"{path} has no name yet, so its options are not known; name the {kind} in the base"
                " or in an earlier axis",
                where=place,
                key=dotted,
            )
        node.put(part, child, node.places.get(part) or place)
        current = registry.options(registry.get(kind, child["name"])) if kind is not None else inner  # type: ignore[assignment]
        node = child
    return root


def _kind(model: type[BaseModel], key: str) -> str | None:
    return next((m.kind for m in model.model_fields[key].metadata if isinstance(m, Named)), None)


def _section(model: type[BaseModel], key: str) -> type[BaseModel] | None:
    annotation = model.model_fields[key].annotation
    return (
        annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    )


def _normal(value: Any, path: str, place: Place | None, kind: str | None) -> Mapping:
    if isinstance(value, Mapping):
        return value.duplicate()
    mapping = Mapping(path, place)
    if kind is not None and isinstance(value, str):
        mapping.put("name", value, place)
    return mapping


def _merged(kind: str | None, old: Any, new: Any, path: str, place: Place | None) -> Any:
    """``new``, which stands at ``place``, over ``old``: options of components and keys of sections
    merge, all else is new.
    """
    if kind is None:
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            merged = old.duplicate()
            for key, value in new.items():
                merged.put(key, value, new.places[key])
            return merged
        return new
    if not isinstance(new, str | Mapping):
        return new
    old_map, new_map = _normal(old, path, None, kind), _normal(new, path, place, kind)
    name = new_map.get("name", old_map.get("name"))
    if name not in registry.names(kind):
        return new_map
    allowed = registry.options(registry.get(kind, name)).model_fields
    merged = Mapping(path, getattr(new, "place", None) or old_map.place)
    merged.put("name", name, new_map.places.get("name") or old_map.places.get("name"))
    for key, value in old_map.items():
        if key != "name" and (key in allowed or name == old_map.get("name")):
            merged.put(key, value, old_map.places.get(key))
    for key, value in new_map.items():
        if key != "name":
            nested = (
                _kind(registry.options(registry.get(kind, name)), key) if key in allowed else None
            )
            at = new_map.places.get(key)
            merged.put(key, _merged(nested, merged.get(key), value, f"{path}.{key}", at), at)
    return merged
