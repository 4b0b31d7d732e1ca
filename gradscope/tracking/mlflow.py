"""MLflow."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gradscope.tracking.recorded import RecordedTrial
from gradscope.tracking.sinks import Sink
from gradscope.tracking.tracker import Tracker

#: numbers and settings that MLflow takes at once, and characters of a setting
_NUMBERS, _SETTINGS, _CHARACTERS = 1000, 100, 500

# MLflow's own objects are ``Any`` here: the package need not be installed


class MLflow(Tracker):
    """Runs of the experiment of the same name, on the tracking server or folder of a URI."""

    name, title, takes = "mlflow", "MLflow", "URI"

    def load(self) -> None:
        """Import MLflow."""
        self.mlflow: Any = importlib.import_module("mlflow")
        self.entities: Any = importlib.import_module("mlflow.entities")

    @contextmanager
    def opened(self, trial: RecordedTrial) -> Iterator[Sink]:
        """A run, which is terminated at the end; its numbers are sent by the thousand."""
        client = self.mlflow.MlflowClient(tracking_uri=self.where)
        known = client.get_experiment_by_name(self.experiment)
        place = client.create_experiment(self.experiment) if known is None else known.experiment_id
        run = client.create_run(place, run_name=trial.name).info.run_id
        status, numbers = "FAILED", []
        now = int(1000 * time.time())

        def sink(scalars: dict[str, float], step: int) -> None:
            numbers.extend(
                self.entities.Metric(name, value, now, step) for name, value in scalars.items()
            )

        try:
            settings = [
                self.entities.Param(key, str(value)[:_CHARACTERS])
                for key, value in trial.settings.items()
            ]
            for start in range(0, len(settings), _SETTINGS):
                client.log_batch(run, params=settings[start : start + _SETTINGS])
            yield sink
            for start in range(0, len(numbers), _NUMBERS):
                client.log_batch(run, metrics=numbers[start : start + _NUMBERS])
            status = "FINISHED"
        finally:
            client.set_terminated(run, status)
