"""Tracker: what shows trials, each as a run of its own with its settings as hyperparameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar

from gradscope.errors import MissingPackageError
from gradscope.tracking.recorded import RecordedTrial
from gradscope.tracking.sinks import Sink


class Tracker(ABC):
    """Where the trials of an experiment are logged.

    Args:
        where: what follows the name, as in ``tensorboard:DIR``; None is the tracker's own choice.
        experiment: the experiment's name.
        run: the run directory.

    Raises:
        MissingPackageError: if its package is not installed.
    """

    #: as in ``--log NAME``, the name of its package for people, and what ``where`` is
    name: ClassVar[str]
    title: ClassVar[str]
    takes: ClassVar[str]

    def __init__(self, where: str | None, experiment: str, run: Path):
        self.where, self.experiment, self.run = where, experiment, run
        try:
            self.load()
        except ImportError:
            raise MissingPackageError(
                f"{self.title} is not installed; 'pip install gradscope-dynamics[{self.name}]' "
                "brings it"
            ) from None

    @abstractmethod
    def load(self) -> None:
        """Import the package.

        Raises:
            ImportError: if it is not there.
        """

    @abstractmethod
    def opened(self, trial: RecordedTrial) -> AbstractContextManager[Sink]:
        """A run of the tracker for a trial, with its name and settings; it is closed at the end."""

    def write(self, trial: RecordedTrial) -> None:
        """Log a trial: its scalars by train step, and as ``final/...`` how it ended."""
        with self.opened(trial) as sink:
            for step, scalars in trial.points or [(0, {})]:
                last = step == trial.last_step
                sink({**scalars, **(self.final(trial) if last else {})}, step)

    def final(self, trial: RecordedTrial) -> dict[str, float]:
        """How a trial ended, under the names by which it is logged."""
        return {f"final/{name}": value for name, value in trial.final.items()}
