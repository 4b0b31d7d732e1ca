"""Runs for other programs' eyes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gradscope.errors import GradscopeError
from gradscope.results import tables
from gradscope.results.records import RunDirectory

#: table -> the columns that are scalars of a train step
_SCALARS = {
    "training": ("loss", "grad_norm_preclip", "grad_norm_postclip", "clip_coefficient"),
    "evaluation": ("loss", "wrong_fraction"),
}


def to_tensorboard(run: RunDirectory, logdir: str | Path) -> int:
    """Write a run's scalars as TensorBoard event files, one subdirectory for each trial; returns
    how many trials.

    Tags: training/..., evaluation/..., and, for the full state, memory_horizon/growth_rate and
    memory_horizon/horizon (infinite horizons are left out, as TensorBoard cannot draw them).

    Raises:
        GradscopeError: if TensorBoard is not installed, or the directory is no run's.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise GradscopeError(
            "TensorBoard is not installed; 'pip install gradscope[tensorboard]' brings it"
        ) from None
    loaded = tables.load(run)
    for trial, about in loaded["trials"].set_index("trial").iterrows():
        label = "".join(
            c if c.isalnum() or c in ".-" else "_"
            for c in f"{about['configuration']}-{about['length']}-{about['seed']}"
        )
        with SummaryWriter(str(Path(logdir) / f"{label}-{trial}")) as writer:
            for table, columns in _SCALARS.items():
                own = loaded[table][loaded[table]["trial"] == trial]
                for column in columns:
                    for step, value in zip(own["train_step"], own[column], strict=True):
                        writer.add_scalar(f"{table}/{column}", value, step)
            if "memory_horizon" in loaded:
                own = loaded["memory_horizon"]
                own = own[(own["trial"] == trial) & (own["block"] == "state")]
                for step, group in own.groupby("train_step"):
                    for column in ("growth_rate", "horizon"):
                        if np.isfinite(value := float(np.median(group[column]))):
                            writer.add_scalar(f"memory_horizon/{column}", value, step)
    return len(loaded["trials"])
