"""What commands that take experiments share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gradscope.cli._echo import echo
from gradscope.errors import ConfigError, GradscopeError
from gradscope.results.records import RunDirectory

if TYPE_CHECKING:
    from gradscope.experiment import Experiment

#: failed trials that are named one by one
_NAMED = 5


def files_of(experiment: str) -> tuple[Path | None, list[Path]]:
    """The experiment files that a path or name stands for, and their folder if it is a folder's.

    Raises:
        GradscopeError: if there is no such file or folder, or if the folder holds no YAML file.
    """
    from gradscope.experiment.shipped import located

    place = located(experiment)
    if not place.is_dir():
        return None, [place]
    files = sorted(place.glob("*.y*ml"))
    if not files:
        raise GradscopeError(
            f"{experiment}: holds no YAML file; name an experiment, or a folder of them"
        )
    return place, files


def check_names(files: Sequence[Path], experiments: Sequence[Experiment]) -> None:
    """Refuse two experiments of one name, as they would share a directory.

    Raises:
        ConfigError: if there are.
    """
    first: dict[str, Path] = {}
    for path, experiment in zip(files, experiments, strict=True):
        name = experiment.name.casefold()  # where names that differ in case are one
        if name in first:
            raise ConfigError(
                f"is named {experiment.name!r}, as {first[name].name} is, so that both would be "
                "recorded in one directory; give it another name",
                where=str(path),
                key="name",
            )
        first[name] = path


def override(text: str) -> tuple[str, object]:
    """The key and the value of KEY=VALUE; the value is read as YAML.

    Raises:
        GradscopeError: for anything else.

    >>> override("cell={name: lstm, hidden_size: 8}")
    ('cell', {'name': 'lstm', 'hidden_size': 8})
    """
    from gradscope.components import marks

    key, equals, yaml = text.partition("=")
    if not equals or not key:
        raise GradscopeError(f"--set {text!r}: should be KEY=VALUE, such as training.steps=500")
    try:
        return key, marks.read(f"value: {yaml}", "--set")["value"]
    except ConfigError as error:
        raise GradscopeError(f"--set {text!r}: {error.message}") from None


def say_failures(directory: RunDirectory) -> None:
    """Print the first trials that failed, and why, to standard error."""
    failures = list(directory.failures().items())
    for trial, failure in failures[:_NAMED]:
        echo(
            f"trial {trial} failed: {failure['error']} (traceback in "
            f"{directory.path}/failures/{trial}.json)",
            err=True,
        )
    if len(failures) > _NAMED:
        echo(f"and {len(failures) - _NAMED} more failed: see {directory.path}/failures", err=True)
