"""trackio."""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from gradscope.tracking.recorded import RecordedTrial
from gradscope.tracking.sinks import Sink
from gradscope.tracking.tracker import Tracker

# trackio's own objects are ``Any`` here: the package need not be installed


class Trackio(Tracker):
    """Runs of a project, in the group of the experiment, in trackio's files on this machine."""

    name, title, takes = "trackio", "trackio", "PROJECT"

    def load(self) -> None:
        """Import trackio."""
        self.trackio: Any = importlib.import_module("trackio")

    @contextmanager
    def opened(self, trial: RecordedTrial) -> Iterator[Sink]:
        """A run, which is finished at the end."""
        with redirect_stdout(io.StringIO()):  # it prints a few lines for each run
            run = self.trackio.init(
                project=self.where or self.experiment,
                group=self.experiment,
                name=trial.name,
                config=trial.settings,
                embed=False,
                # how busy this machine is says nothing of a trial that is over
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
            try:
                yield lambda scalars, step: run.log(scalars, step=step)
            finally:
                self.trackio.finish()
