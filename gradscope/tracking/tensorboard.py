"""TensorBoard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gradscope.tracking.recorded import RecordedTrial
from gradscope.tracking.sinks import Sink, sink_of
from gradscope.tracking.tracker import Tracker

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoard(Tracker):
    """Event files, a folder for each trial; what is set and how it ended is in the tab HParams."""

    name, title, takes = "tensorboard", "TensorBoard", "DIR"

    def load(self) -> None:
        """Import torch's writer, which needs TensorBoard."""
        from torch.utils.tensorboard import SummaryWriter

        self.writer: type[SummaryWriter] = SummaryWriter

    @property
    def folder(self) -> Path:
        """Where the folders of the trials lie: DIR/<experiment>, else within the run directory."""
        if self.where is None:
            return self.run / "tensorboard"
        return Path(self.where) / self.experiment

    @contextmanager
    def opened(self, trial: RecordedTrial) -> Iterator[Sink]:
        """An event file."""
        with self.writer(str(self.folder / trial.folder)) as writer:
            yield sink_of(writer, prefix="")
            if trial.settings:
                # the run "." is that of the scalars; without a name it would be one of its own
                writer.add_hparams(
                    trial.settings,
                    super().final(trial),
                    run_name=".",
                    global_step=trial.last_step,
                )

    def final(self, trial: RecordedTrial) -> dict[str, float]:
        """Nothing: they are written with the settings."""
        return {}
