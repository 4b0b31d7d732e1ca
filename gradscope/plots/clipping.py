"""What the clip does."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pydantic import Field

from gradscope.plots._axes import finish, legend_below, panel_grid, wrapped
from gradscope.plots._looks import Colour, looks
from gradscope.plots._plot import Plot, register
from gradscope.plots._rows import of_first_trials, present
from gradscope.plots._style import FAINT, INK, new_figure
from gradscope.results.tables import Tables


@register("clipping")
class Clipping(Plot):
    """The gradient's norm before and after the clip, and the fraction of clipped updates."""

    bins: int = Field(
        60,
        ge=5,
        description=(
            "stretches that training is cut into, each drawn as its median and its largest norm"
        ),
    )
    most: int = Field(
        12,
        ge=1,
        description=(
            "configurations drawn at most; of more, those spread evenly from best to worst"
        ),
    )
    requires = ("training",)
    title = "Gradient norm before and after the clip"
    over = "train_step"
    order = 50
    of_recordings = False

    def data(self, tables: Tables) -> pd.DataFrame:
        """Median and greatest norm in stretches of the first trial of each configuration."""
        frame = of_first_trials(tables.at_longest("training"), tables, self.most)
        width = max(1, int(np.ceil((frame["train_step"].max() + 1) / self.bins)))
        frame = frame.assign(
            train_step=frame["train_step"] // width * width, clipped=frame["clip_coefficient"] < 1
        )
        return (
            frame.groupby(["configuration", "trial", "train_step"], sort=False)
            .agg(
                grad_norm_preclip=("grad_norm_preclip", "median"),
                greatest_preclip=("grad_norm_preclip", "max"),
                grad_norm_postclip=("grad_norm_postclip", "median"),
                clipped_fraction=("clipped", "mean"),
            )
            .reset_index()
        )

    def draw(self, tables: Tables) -> Figure:
        """A panel for each configuration, on one scale."""
        frame, look = self.shown(tables), looks(tables)
        labels, clipped = present(frame, tables), _clipped_share(tables)
        rows, columns, labels = panel_grid(tables, labels)
        figure, axes = new_figure(rows, columns, height=2.1 * rows + 0.9, sharex=True, sharey=True)
        for ax, label in zip(axes.flat, labels, strict=False):
            _draw_norms(ax, frame[frame["configuration"] == label], look[label].colour)
            share = f"{clipped[label]:.0%} of updates clipped"
            ax.set(yscale="log", title=f"{wrapped(label)}\n{share}")
        finish(axes, len(labels), "train step (updates)", "‖dL/dW‖")
        handles = {
            "before, greatest": Line2D([], [], color=FAINT),
            "before, median (configuration's colour)": Line2D([], [], color=look[labels[0]].colour),
            "after, median, where it differs": Line2D([], [], color=INK, linewidth=1.2),
        }
        legend_below(figure, handles)
        return figure

    def caption(self, tables: Tables) -> str:
        """What the norms are of, and what a spike and the percentage say."""
        return (
            "2-norm of the gradient of all parameters together, before and after the clip"
            f"{tables.words.shown}, in short stretches of training: median, and the greatest "
            "before the clip. A spike of the greatest above the median is an exploding gradient; "
            "the percentage is the mean over seeds, as in the summary."
        )


def _clipped_share(tables: Tables) -> dict[str, float]:
    """Configuration to the share of updates that the clip changed, the mean over trials."""
    updates = tables.at_longest("training")
    clipped = updates["clip_coefficient"] < 1
    by_trial = clipped.groupby([updates["configuration"], updates["trial"]]).mean()
    shares = by_trial.groupby("configuration").mean()
    return {str(label): float(share) for label, share in shares.items()}


def _draw_norms(ax: Axes, norms: pd.DataFrame, colour: Colour) -> None:
    """The greatest and the median norm before the clip, and the median after it."""
    steps = norms["train_step"]
    ax.plot(steps, norms["greatest_preclip"], color=FAINT, linewidth=0.8)
    ax.plot(steps, norms["grad_norm_preclip"], color=colour, linewidth=1.6)
    after = norms["grad_norm_postclip"]
    changed = after.where(after < 0.999 * norms["grad_norm_preclip"])
    ax.plot(steps, changed, color=INK, linewidth=1.2)
