"""Trackers by their names, as in ``--log tensorboard:logs``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gradscope.components.suggestions import suggest
from gradscope.errors import UnknownNameError
from gradscope.tracking.mlflow import MLflow
from gradscope.tracking.tensorboard import TensorBoard
from gradscope.tracking.tracker import Tracker
from gradscope.tracking.trackio import Trackio
from gradscope.tracking.wandb import WandB

#: name to tracker
TRACKERS: dict[str, type[Tracker]] = {
    tracker.name: tracker for tracker in (TensorBoard, WandB, MLflow, Trackio)
}


def trackers_of(named: Sequence[str], experiment: str, run: Path) -> list[Tracker]:
    """Trackers by their names.

    Args:
        named: each NAME, or NAME:WHERE.
        experiment: the experiment's name.
        run: the run directory.

    Raises:
        UnknownNameError: for a name that no tracker has.
        MissingPackageError: for one whose package is not installed.
    """
    made = []
    for text in named:
        name, colon, where = text.partition(":")
        if name not in TRACKERS:
            raise UnknownNameError(
                f"there is no tracker called {name!r}; {suggest(name, TRACKERS)}", key="log"
            )
        if colon and not where:
            takes = TRACKERS[name].takes
            raise UnknownNameError(
                f"{text!r} names no {takes} after the colon; {name}:{takes} does, and {name} alone "
                "takes the usual one",
                key="log",
            )
        made.append(TRACKERS[name](where or None, experiment, run))
    return made


def check_trackers(named: Sequence[str]) -> None:
    """Refuse trackers that cannot be used, before anything has run.

    Raises:
        UnknownNameError: for a name that no tracker has.
        MissingPackageError: for one whose package is not installed.
    """
    trackers_of(named, "experiment", Path())
