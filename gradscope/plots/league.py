"""A league table of configurations over several tasks."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradscope.plots._axes import legend_below, plain
from gradscope.plots._lines import reference
from gradscope.plots._plot import Plot, register
from gradscope.plots._style import FAINT, new_figure
from gradscope.results.measures import MEASURES
from gradscope.results.scales import Sample
from gradscope.results.tables import Tables
from gradscope.results.yardstick import worst_counted

#: configurations from which on one task makes a league
_MANY = 8

#: entrants that are drawn of very many
_BEST, _WORST = 30, 10


@register("league")
class League(Plot):
    """Configurations in order of their loss over the baseline, with intervals, task by task."""

    requires = ("trials",)
    title = "League table"
    over = "ratio"
    order = 14
    of_recordings = False
    face = 2

    @classmethod
    def missing(cls, tables: Tables) -> list[str]:
        """The table; or entrants: a league takes several tasks, or eight configurations."""
        wanting = super().missing(tables)
        if wanting or len(tables.configurations) >= _MANY:
            return wanting
        several = tables["trials"]["task"].nunique() > 1
        return [] if several else ["trials of eight configurations or of two tasks"]

    def data(self, tables: Tables) -> pd.DataFrame:
        """Loss over baseline with its interval as in the summary, by entrant and task.

        The entrant is the configuration without the task's part, where the sweep has an axis for
        it. In the order (``counted``, a geometric mean over trials) a trial that diverged counts
        with a loss of ten times the baseline, or the largest that did not, if that is more.
        """
        trials = tables["trials"]
        ratio = trials["final_loss"] / trials["baseline"]
        entries = trials.assign(
            ratio=ratio,
            counted=ratio.fillna(worst_counted(ratio)),
            entrant=_entrants(tables, trials),
        )
        table = _with_intervals(entries)
        with np.errstate(divide="ignore"):
            overall = table["counted"].transform(np.log).groupby(table["entrant"]).mean()
        ranks = table["entrant"].map(overall.rank(method="min")).astype(int)
        order = ["rank", "entrant", "task", "length"]
        return table.assign(rank=ranks).sort_values(order, ignore_index=True)

    def draw(self, tables: Tables) -> Figure:
        """A panel for each task; the best on average at the top."""
        frame = self.shown(tables)
        entrants = _drawn(list(dict.fromkeys(frame["entrant"])))
        tasks = list(dict.fromkeys(zip(frame["task"], frame["length"], strict=True)))
        figure, axes = new_figure(1, len(tasks), height=1.1 + 0.27 * len(entrants), sharey=True)
        for ax, (task, length) in zip(axes[0], tasks, strict=True):
            chosen = (frame["task"] == task) & (frame["length"] == length)
            _draw_task(ax, frame[chosen].set_index("entrant").reindex(entrants))
            title = task.replace("_", " ") + (f", length {length}" if length > 0 else "")
            ax.set(xscale="log", xlabel="test loss / memoryless baseline", title=title)
        first = axes[0, 0]
        first.set_yticks(range(len(entrants)), [plain(name) for name in entrants], fontsize="small")
        first.invert_yaxis()
        handles, labels = first.get_legend_handles_labels()
        legend_below(figure, dict(zip(labels, handles, strict=True)))
        return figure

    def caption(self, tables: Tables) -> str:
        """What the loss is held against, how intervals and order come about, and who is filled."""
        count = self.shown(tables)["entrant"].nunique()
        many = count > _BEST + _WORST
        return (
            "Final test loss over that of the best answer without a memory (dotted: 1, nothing "
            "learned): geometric mean over the seeds that did not diverge, with Student's 95% "
            "interval of its logarithm, as in the summary; none of a single seed. Filled where "
            "every seed solved the task. From the best on average over the tasks to the worst; "
            "where a training stops at success, the order of those that solved everything means "
            "little. In the order a trial that diverged counts as ten times the baseline; a cross "
            "is where all did."
            + (f" Of {count} entrants the best {_BEST} and the worst {_WORST}." if many else "")
        )


def _drawn(entrants: list[str]) -> list[str]:
    """Of very many entrants the best and the worst."""
    few = len(entrants) <= _BEST + _WORST
    return entrants if few else [*entrants[:_BEST], *entrants[-_WORST:]]


def _with_intervals(entries: pd.DataFrame) -> pd.DataFrame:
    """One row for each entrant and task: the summary's estimate of ``ratio``, and its order."""
    scale, rows = MEASURES["loss_over_baseline"].scale, []
    for _, trials in entries.groupby(["entrant", "task", "length"], sort=False):
        first, known = trials.iloc[0], Sample(dict(enumerate(trials["ratio"])))
        estimate = scale.estimate(known)
        rows.append(
            {
                **{key: first[key] for key in ("entrant", "task", "length")},
                "trials": len(trials),
                "solved": int((trials["outcome"] == "solved").sum()),
                "diverged": int(trials["ratio"].isna().sum()),
                "configuration": first["configuration"],
                "ratio": estimate.centre,
                "low": estimate.low,
                "high": estimate.high,
                "counted": scale.centre(trials["counted"].to_numpy()),
            }
        )
    return pd.DataFrame(rows)


def _draw_task(ax: Axes, results: pd.DataFrame) -> None:
    """One task's intervals and means, a row for each entrant; who did not take part has none."""
    rows = np.arange(len(results))
    ax.hlines(rows, results["low"], results["high"], color=FAINT, linewidth=2)
    whole, took_part = results["solved"] == results["trials"], results["ratio"].notna()
    for marker, chosen, face, label in (
        ("o", whole & took_part, "black", "every seed solved it"),
        ("D", ~whole & took_part, "white", "not every seed"),
    ):
        ax.plot(
            results.loc[chosen, "ratio"],
            rows[chosen.to_numpy()],
            marker,
            color="black",
            markersize=5,
            label=label,
            markerfacecolor=face,
        )
    gone = results["counted"].notna() & ~took_part
    ax.plot(results.loc[gone, "counted"], rows[gone.to_numpy()], "x", color="black", markersize=5)
    reference(ax, x=1)


def _entrants(tables: Tables, trials: pd.DataFrame) -> list[str]:
    """Each trial's configuration without the labels that name its task.

    Those of an axis do where each task has one of them, and not all tasks the same.
    """
    axes = tables.axes
    tasks = dict(
        zip(
            trials["configuration"], zip(trials["task"], trials["length"], strict=True), strict=True
        )
    )
    distinct = len(set(tasks.values()))

    def names_task(place: int) -> bool:
        pairs = {(axes[label][place], task) for label, task in tasks.items()}
        return len(pairs) == distinct and len({name for name, _ in pairs}) > 1

    count = min(len(labels) for labels in axes.values())
    left_out = {place for place in range(count) if names_task(place)}
    if len(left_out) == count:
        left_out = set()
    return [
        " · ".join(part for place, part in enumerate(axes[label]) if place not in left_out)
        for label in trials["configuration"]
    ]
