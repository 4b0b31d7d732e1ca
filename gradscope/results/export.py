"""Runs for TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gradscope.errors import MissingPackageError
from gradscope.results import tables
from gradscope.results.records import RunDirectory

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

#: table -> the columns that are scalars of a train step
_SCALARS = {
    "training": ("loss", "grad_norm_preclip", "grad_norm_postclip", "clip_coefficient"),
    "evaluation": ("loss", "wrong_fraction"),
}


def to_tensorboard(run: RunDirectory, logdir: str | Path) -> int:
    """Write a run's scalars as TensorBoard event files, a subdirectory for each trial.

    Tags: training/..., evaluation/..., and, for the full state, memory_horizon/growth_rate and
    memory_horizon/horizon (infinite horizons are left out, as TensorBoard cannot draw them).

    Args:
        run: to read.
        logdir: where TensorBoard looks.

    Returns:
        How many trials were written.

    Raises:
        MissingPackageError: if TensorBoard is not installed.
        RunDirectoryError: if the directory is no run's.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MissingPackageError(
            "TensorBoard is not installed; 'pip install gradscope-dynamics[tensorboard]' brings it"
        ) from None
    loaded = tables.load(run)
    for about in loaded["trials"].to_dict("records"):
        label = f"{about['configuration']}-{about['length']}-{about['seed']}"
        folder = "".join(c if c.isalnum() or c in ".-" else "_" for c in label)
        with SummaryWriter(str(Path(logdir) / f"{folder}-{about['trial']}")) as writer:
            _write(writer, loaded.of_trial(str(about["trial"])))
    return len(loaded["trials"])


def _write(writer: SummaryWriter, trial: tables.Tables) -> None:
    for table, columns in _SCALARS.items():
        for column in columns:
            for step, value in zip(trial[table]["train_step"], trial[table][column], strict=True):
                writer.add_scalar(f"{table}/{column}", value, step)
    if "memory_horizon" not in trial:
        return
    horizons = trial["memory_horizon"]
    for step, group in horizons[horizons["block"] == "state"].groupby("train_step"):
        for column in ("growth_rate", "horizon"):
            if np.isfinite(value := float(np.median(group[column]))):
                writer.add_scalar(f"memory_horizon/{column}", value, step)
