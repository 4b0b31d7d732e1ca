"""Runs for TensorBoard."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from gradscope.results import tables
from gradscope.results.records import RunDirectory
from gradscope.tracking.recorded import RecordedTrial
from gradscope.tracking.tensorboard import TensorBoard


class _Export(TensorBoard):
    """Folders of trials in DIR itself."""

    @property
    def folder(self) -> Path:
        """Where the folders of the trials lie."""
        return Path(self.where or "")


def to_tensorboard(run: RunDirectory, logdir: str | Path) -> int:
    """Write a run's scalars as TensorBoard event files, a subdirectory for each trial.

    Tags: training/..., evaluation/..., and, for the full state, memory_horizon/growth_rate and
    memory_horizon/horizon (infinite horizons are left out, as TensorBoard cannot draw them). The
    settings are hyperparameters, and final/... says how each trial ended.

    Args:
        run: to read.
        logdir: where TensorBoard looks.

    Returns:
        How many trials were written.

    Raises:
        MissingPackageError: if TensorBoard is not installed.
        RunDirectoryError: if the directory is no run's.
    """
    tracker = _Export(str(logdir), "", run.path)
    loaded, entries = tables.load(run), {entry.id: entry for entry in run.manifest().trials}
    for trial in loaded["trials"]["trial"]:
        own = loaded.of_trial(str(trial))

        def table(name: str, own: tables.Tables = own) -> pd.DataFrame | None:
            return own.get(name)

        tracker.write(RecordedTrial.of(entries[str(trial)], table))
    return len(loaded["trials"])
