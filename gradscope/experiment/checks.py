"""What one trial's settings must fulfil beyond the type of each: files, truncation, lengths."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from gradscope.components.marks import Mapping, Place, Sequence, Where
from gradscope.components.mistakes import Mistakes
from gradscope.errors import ConfigError
from gradscope.experiment.schema import Settings
from gradscope.experiment.sizes import check_sizes


def place_of(section: Mapping, *keys: str) -> Where:
    """Where the last of nested keys stands, or the nearest key above it that has a place."""
    place: Where = section.place
    for key in keys:
        if not isinstance(section, Mapping) or key not in section:
            break
        place = section.places.get(key) or place
        inner = section[key]
        if not isinstance(inner, Mapping):
            break
        section = inner
    return place


def checked(settings: Settings, section: Mapping, mistakes: Mistakes) -> Settings:
    """The settings with the paths of their files resolved; what is wrong is gathered.

    What depends on a value that is known to be wrong is not checked.

    Args:
        settings: of the trial.
        section: the same with places.
        mistakes: those of the trial so far.
    """
    if not mistakes.about("task"):
        settings = _with_files(settings, section)
        with mistakes.noted():
            _check_files(settings, section)
    if not mistakes.about("training"):
        with mistakes.noted():
            _check_truncation(settings, section)
    if not mistakes.about("task", "evaluation"):
        _check_lengths(settings, section, mistakes)
    if not mistakes.found:
        with mistakes.noted():
            _check_sizes(settings, section)
    return settings


def _with_files(settings: Settings, section: Mapping) -> Settings:
    """The settings with the task's path taken from the folder of the file that it stands in."""
    place = place_of(section, "task", settings.task.path_option)
    folder = Path(place.file).parent if isinstance(place, Place) else Path()
    return settings.model_copy(update={"task": settings.task.within(folder)})


def _check_files(settings: Settings, section: Mapping) -> None:
    """Check that the files which the task reads exist."""
    try:
        settings.task.check()
    except ConfigError as error:
        raise error.at(place_of(section, "task", error.key), f"task.{error.key}") from None


def _check_truncation(settings: Settings, section: Mapping) -> None:
    length, stride = settings.training.tbptt_length, settings.training.tbptt_stride
    if stride is None or (length is not None and stride <= length):
        return
    problem = (
        "tbptt_stride needs tbptt_length; give both, or neither for full BPTT"
        if length is None
        else f"tbptt_stride {stride} is longer than tbptt_length {length}, so some losses would "
        "reach no weight; it should be at most tbptt_length"
    )
    where = place_of(section, "training", "tbptt_stride")
    raise ConfigError(problem, where=where, key="training.tbptt_stride")


def _check_sizes(settings: Settings, section: Mapping) -> None:
    """Refuse what no machine has the memory for."""
    try:
        check_sizes(settings)
    except ConfigError as error:
        raise error.at(place_of(section, *error.key.split(".")), error.key) from None


def _check_lengths(settings: Settings, section: Mapping, mistakes: Mistakes) -> None:
    """Check that the task can be tested at the other lengths."""
    where = place_of(section, "evaluation", "lengths")
    if settings.evaluation.lengths and settings.task.nominal_length is None:
        message = f"the task {settings.task.name!r} has no length to test at"
        mistakes.add(ConfigError(message, where=where, key="evaluation.lengths"))
        return
    evaluation = section.get("evaluation")
    lengths = evaluation.get("lengths") if isinstance(evaluation, Mapping) else None
    for index, length in enumerate(settings.evaluation.lengths):
        try:
            settings.task.at_length(length)
        except ValidationError as error:
            message = f"the task cannot have length {length}: {error.errors()[0]['msg']}"
            at = lengths.places[index] if isinstance(lengths, Sequence) else where
            key = f"evaluation.lengths[{index}]"
            mistakes.add(ConfigError(message, where=at, key=key))
