"""The axes of a sweep: what each of their values changes, and how it is called."""

from __future__ import annotations

from pydantic import BaseModel

from gradscope.components.marks import Mapping, Sequence, Where
from gradscope.components.mistakes import Mistakes
from gradscope.components.suggestions import shown
from gradscope.errors import ConfigError
from gradscope.experiment import drawn
from gradscope.experiment.choice import Choice, label_of, unknown


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
    if key == drawn.NAME and isinstance(values, Mapping):
        return drawn.drawn(values, model, where)
    if not isinstance(values, Sequence) or not values:
        raise ConfigError(_no_list(key, values, model), where=where, key=path)
    if key.split(".")[0] in model.model_fields:
        placed = zip(values, values.places, strict=True)
        return [Choice(label_of(key, value), ((key, value, at),)) for value, at in placed]
    if all(isinstance(value, Mapping) for value in values):
        return _zip_axis(path, values, where)
    but = "an axis with a name of its own takes a list of mappings"
    raise unknown(key, model, place=where, path=path, but=but)


def _no_list(key: str, values: object, model: type[BaseModel]) -> str:
    """What is wrong with an axis that is no list, or an empty one."""
    if isinstance(values, list):
        return "is empty; give at least one value"
    said = f"should be a list of values, got {shown(values)}"
    if not isinstance(values, Mapping) or not values:
        return f"{said}; give at least one value, such as [{shown(values)}]"
    label = next(iter(values))
    if label in drawn.HOW:
        under = f"{drawn.NAME}: {{trials: 40, {key}: {{{label}: ...}}}}"
        return f"{said}; values that are drawn stand under {under}"
    if "trials" in values:
        return f"{said}; the axis whose values are drawn is called {drawn.NAME!r}"
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
        label = value.get("label") or ", ".join(label_of(key, item) for key, item, _ in changes)
        choices.append(Choice(str(label), changes))
    labels = [choice.label for choice in choices]
    if repeated := next((label for label in labels if labels.count(label) > 1), None):
        raise ConfigError(
            f"two items carry the label {shown(repeated)}; give each its own", where=place, key=path
        )
    return choices
