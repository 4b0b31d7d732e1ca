"""Weights & Biases."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gradscope.tracking.recorded import RecordedTrial
from gradscope.tracking.sinks import Sink
from gradscope.tracking.tracker import Tracker

# wandb's own objects are ``Any`` here: the package need not be installed


class WandB(Tracker):
    """Runs of a project, in the group of the experiment; WANDB_MODE=offline keeps them here."""

    name, title, takes = "wandb", "Weights & Biases", "PROJECT"

    def load(self) -> None:
        """Import wandb."""
        self.wandb: Any = importlib.import_module("wandb")

    @contextmanager
    def opened(self, trial: RecordedTrial) -> Iterator[Sink]:
        """A run, which is finished at the end."""
        run = self.wandb.init(
            project=self.where or self.experiment,
            group=self.experiment,
            name=trial.name,
            config=trial.settings,
            # what is printed here is the driver's, and no trial's
            settings=self.wandb.Settings(console="off", silent=True),
        )
        try:
            yield lambda scalars, step: run.log(scalars, step=step)
        finally:
            run.finish()
