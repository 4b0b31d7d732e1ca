"""What a run says of the trials that it is at, for whoever reads its directory meanwhile.

A small file beside the manifest, ``running.json``, which the run writes at most once a second and
removes at its end. Nothing depends on it: one that is missing, half or left behind says nothing.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, ValidationError

from gradscope.errors import DamagedError
from gradscope.results.files import strict_json, temporary_name
from gradscope.results.manifest import Part
from gradscope.results.seals import json_object

#: the file's name in a run directory
NAME = "running.json"


class Taken(NamedTuple):
    """How far a trial is.

    Attributes:
        train_step: optimiser steps that it has taken.
        steps: that it takes at most.
        loss: the latest; None if it is not finite.
    """

    train_step: int
    steps: int
    loss: float | None


class Running(Part):
    """What a run is at.

    Attributes:
        seconds_left: of the whole run, at most; None while that is not known.
        trials: id to how far it is, of those that train.
        failed: ids of those that failed since the run began or went on.
    """

    seconds_left: float | None = None
    trials: dict[str, Taken] = Field(default={})
    failed: list[str] = Field(default=[])

    @classmethod
    def read(cls, folder: Path) -> Running:
        """What the file in a run directory says; nothing, if it cannot be read."""
        try:
            return cls.model_validate(json_object(folder / NAME))
        except (DamagedError, FileNotFoundError, ValidationError):
            return cls()

    def write(self, folder: Path) -> None:
        """Put it into a run directory, or do nothing where that fails."""
        temporary = temporary_name(folder / NAME)
        with contextlib.suppress(OSError):
            try:
                temporary.write_text(strict_json(self.model_dump()), encoding="utf-8")
                os.replace(temporary, folder / NAME)
            finally:
                temporary.unlink(missing_ok=True)


def remove(folder: Path) -> None:
    """Take it away, at the end of a run."""
    with contextlib.suppress(OSError):
        (folder / NAME).unlink(missing_ok=True)
