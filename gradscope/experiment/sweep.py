"""The sweep of an experiment: from the axes in the file to the settings of every trial.

``sweep`` is a mapping of axes, and the trials are their product. An axis is a dotted key with a
list of values (``cell.activation: [tanh, relu]``), or a name of your own with a list of mappings,
each of which sets several dotted keys at once (a zip) and may carry a ``label``. A sweep that is
itself a list of mappings is one such axis. The values of the axis ``random`` are drawn (``drawn``).

Where the sweep changes a component's ``name``, the options that the new component has as well are
kept, and the other options are dropped, as they belong to the old component.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from pydantic import BaseModel

from gradscope.components import registry
from gradscope.components.marks import Mapping, Where
from gradscope.components.mistakes import Mistakes
from gradscope.components.options import kind_of
from gradscope.components.suggestions import shown, suggest
from gradscope.errors import ConfigError, UnknownNameError
from gradscope.experiment import drawn
from gradscope.experiment.axes import axes_of
from gradscope.experiment.choice import MOST_TRIALS, Choice, section_of


@dataclass(frozen=True)
class Point:
    """The settings of one trial, and its label on every axis."""

    settings: Mapping
    axes: dict[str, str]


def expand(
    base: Mapping,
    sweep: object,
    *,
    model: type[BaseModel],
    place: Where,
    mistakes: Mistakes | None = None,
) -> list[Point]:
    """All points of the sweep over ``base``; the last axis runs fastest.

    Args:
        base: the settings that every trial has unless the sweep changes them.
        sweep: the file's sweep; None gives a single point.
        model: the pydantic model of the settings.
        place: where the sweep stands.
        mistakes: gathers what is wrong, and the points are those without it; None raises it.

    Raises:
        ConfigError: for a sweep that is empty, of the wrong shape, or that sets what does not
            exist.
    """
    gathered = Mistakes() if mistakes is None else mistakes
    axes: dict[str, list[Choice]] = {}
    with gathered.noted():
        axes = axes_of(sweep, model, place, gathered)
        _check_count(axes, place)
    points, told = [], set[str]()
    for choices in itertools.product(*axes.values()):
        settings = base.duplicate()
        for choice in choices:
            for key, value, where in choice.changes:
                try:
                    settings = applied(settings, key, value, model=model, place=where)
                except ConfigError as error:  # for a wrong key, as often as it has values
                    if f"{key}: {error.message}" not in told:
                        gathered.add(error)
                    told.add(f"{key}: {error.message}")
        labels = {axis: choice.label for axis, choice in zip(axes, choices, strict=True)}
        points.append(Point(settings, labels))
    if mistakes is None:
        gathered.raise_any()
    return points


def _check_count(axes: dict[str, list[Choice]], place: Where) -> None:
    """Refuse a sweep of more trials than one run can hold, before any is made.

    Raises:
        ConfigError: if it is; the axes are left empty then.
    """
    lengths = {axis: len(choices) for axis, choices in axes.items()}
    trials = math.prod(lengths.values())
    if trials <= MOST_TRIALS:
        return
    product = " times ".join(f"{length} of {shown(axis)}" for axis, length in lengths.items())
    axes.clear()
    raise ConfigError(
        f"asks for {trials:,} trials ({product}); one run has at most {MOST_TRIALS:,}: sweep over "
        "fewer values, or share them out among several files",
        where=place,
        key="sweep",
    )


def without(sweep: object, key: str) -> object:
    """The sweep without the axis that varies ``key`` or a part of it, or without drawing it.

    Raises:
        ConfigError: if an axis varies ``key`` together with other keys.
    """

    def touches(other: str) -> bool:
        return other == key or other.startswith(f"{key}.") or key.startswith(f"{other}.")

    kept = sweep
    axes: dict[str, object] = {"sweep": sweep}
    if isinstance(sweep, Mapping):
        kept = axes = Mapping(sweep.path, sweep.place)
        for axis, values in sweep.items():
            if axis == drawn.NAME and isinstance(values, Mapping):
                values = drawn.without(values, touches)
            if values is not None and not touches(axis):
                kept.put(axis, values, sweep.places[axis])
    for axis, values in axes.items():
        for item in values if isinstance(values, list) else []:
            clashes = [other for other in item if touches(other)] if isinstance(item, dict) else []
            if clashes:
                raise ConfigError(
                    f"the sweep's axis {axis!r} sets {clashes[0]} with other keys; change the file",
                    where="overrides",
                    key=key,
                )
    return kept or None


# --- setting one key -----------------------------------------------------------------------------


def applied(
    root: Mapping, dotted: str, value: object, *, model: type[BaseModel], place: Where
) -> Mapping:
    """``root`` with ``value`` at the dotted key; a component changes as the module's text says.

    Raises:
        UnknownNameError: if there is no such key.
        ConfigError: if it cannot be set.
    """
    root = root.duplicate()
    node, parts = root, dotted.split(".")
    current: type[BaseModel] = model
    for depth, part in enumerate(parts):
        path, rest = ".".join(parts[: depth + 1]), parts[depth + 1 :]
        if part not in current.model_fields:
            known = suggest(part, current.model_fields)
            raise UnknownNameError(
                f"there is no option {shown(part)} here; {known}", where=place, key=dotted
            )
        field = current.model_fields[part]
        kind, section = kind_of(field), section_of(field.annotation)
        if kind is not None and part not in node and isinstance(field.default, str):
            node.put(part, field.default, place)
        if not rest or (kind is not None and rest == ["name"]):
            node.put(part, _merged(kind, node.get(part), value, path, place), place)
            return root
        if kind is None and section is None:
            raise ConfigError(f"{path} has no options of its own", where=place, key=dotted)
        child = _as_mapping(node.get(part), path, node.places.get(part), kind)
        node.put(part, child, node.places.get(part) or place)
        current, node = _options(kind, section, child, path, dotted, place), child
    return root


def _options(
    kind: str | None,
    section: type[BaseModel] | None,
    child: Mapping,
    path: str,
    dotted: str,
    place: Where,
) -> type[BaseModel]:
    """The pydantic model of a section, or of the options of a component."""
    if kind is None:
        assert section is not None
        return section
    name = child.get("name")
    if not isinstance(name, str):
        raise ConfigError(
            f"{path} has no name yet, so its options are not known; name the {kind} in the base or "
            "in an earlier axis",
            where=place,
            key=dotted,
        )
    try:
        return registry.options(registry.get(kind, name))
    except UnknownNameError as error:
        raise error.at(child.places.get("name") or child.place or place, f"{path}.name") from None


def _as_mapping(value: object, path: str, place: Where, kind: str | None) -> Mapping:
    if isinstance(value, Mapping):
        return value.duplicate()
    mapping = Mapping(path, place)
    if kind is not None and isinstance(value, str):
        mapping.put("name", value, place)
    return mapping


def _merged(kind: str | None, old: object, new: object, path: str, place: Where) -> object:
    """``new``, which stands at ``place``, over ``old``.

    Options of components and keys of sections are merged; any other value is replaced.
    """
    if kind is None:
        return _over(old, new) if isinstance(old, Mapping) and isinstance(new, Mapping) else new
    if not isinstance(new, str | Mapping):
        return new
    before = _as_mapping(old, path, None, kind)
    after = _as_mapping(new, path, place, kind)
    name = after.get("name", before.get("name"))
    if not isinstance(name, str) or name not in registry.names(kind):
        return after
    fields = registry.options(registry.get(kind, name)).model_fields
    merged = Mapping(path, (after.place if isinstance(new, Mapping) else None) or before.place)
    merged.put("name", name, after.places.get("name") or before.places.get("name"))
    for key, value in before.items():
        if key != "name" and (key in fields or name == before.get("name")):
            merged.put(key, value, before.places.get(key))
    for key, value in after.items():
        if key != "name":
            inner, at = kind_of(fields[key]) if key in fields else None, after.places.get(key)
            merged.put(key, _merged(inner, merged.get(key), value, f"{path}.{key}", at), at)
    return merged


def _over(old: Mapping, new: Mapping) -> Mapping:
    merged = old.duplicate()
    for key, value in new.items():
        merged.put(key, value, new.places[key])
    return merged
