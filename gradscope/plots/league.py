"""A league table of configurations over several tasks."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gradscope.plots._plot import FAINT, Plot, new_figure, plain, register
from gradscope.results.tables import Tables

_DRAWS = 2000


@register("league")
class League(Plot):
    """Configurations in order of their loss over the baseline, with bootstrap intervals over seeds,
    task by task.
    """

    requires = ("trials",)
    title = "League table"
    order: ClassVar[int] = 14

    @classmethod
    def missing(cls, tables: Tables) -> list[str]:
        """The table; or entrants: a league takes several tasks, or eight configurations."""
        wanting = super().missing(tables)
        many = len(tables.configurations) >= 8 or (
            not wanting and tables["trials"]["task"].nunique() > 1
        )
        return wanting or ([] if many else ["trials of eight configurations or two tasks"])

    def data(self, tables: Tables) -> pd.DataFrame:
        """Geometric mean of loss over baseline, with a 95% bootstrap interval, and solved trials,
        by entrant and task.

        The entrant is the configuration without the task's part, where the sweep has an axis for
        it. A trial that diverged counts with a loss of ten times the baseline, or the largest that
        did not, if that is more.
        """
        trials = tables["trials"]
        ratio = (trials["final_loss"] / trials["baseline"]).clip(lower=1e-6)
        worst = max(10.0, float(ratio.max())) if ratio.notna().any() else 10.0
        frame = trials.assign(ratio=ratio.fillna(worst), entrant=_entrants(tables, trials))
        generator, rows = np.random.default_rng(0), []
        for (entrant, task, length), own in frame.groupby(
            ["entrant", "task", "length"], sort=False
        ):
            logs = np.log(own["ratio"].to_numpy())
            draws = generator.choice(logs, (_DRAWS, len(logs))).mean(axis=1)
            low, high = np.exp(np.percentile(draws, [2.5, 97.5]))
            rows.append(
                {
                    "entrant": entrant,
                    "task": task,
                    "length": length,
                    "trials": len(own),
                    "solved": int((own["outcome"] == "solved").sum()),
                    "configuration": own["configuration"].iloc[0],
                    "ratio": float(np.exp(logs.mean())),
                    "low": float(low),
                    "high": float(high),
                }
            )
        found = pd.DataFrame(rows)
        overall = np.log(found["ratio"]).groupby(found["entrant"]).mean()
        return found.assign(
            rank=found["entrant"].map(overall.rank(method="min")).astype(int)
        ).sort_values(["rank", "entrant", "task", "length"], ignore_index=True)

    def draw(self, tables: Tables) -> Figure:
        """A panel for each task; the best on average at the top."""
        frame = self.data(tables)
        entrants = list(dict.fromkeys(frame["entrant"]))
        tasks = list(dict.fromkeys(zip(frame["task"], frame["length"], strict=True)))
        figure, axes = new_figure(1, len(tasks), height=1.1 + 0.27 * len(entrants), sharey=True)
        for ax, (task, length) in zip(axes[0], tasks, strict=True):
            own = (
                frame[(frame["task"] == task) & (frame["length"] == length)]
                .set_index("entrant")
                .reindex(entrants)
            )
            rows = np.arange(len(entrants))
            ax.hlines(rows, own["low"], own["high"], color=FAINT, linewidth=2)
            whole = own["solved"] == own["trials"]
            for marker, chosen, label in (
                ("o", whole, "every seed solved it"),
                ("D", ~whole, "not every seed"),
            ):
                part = own[chosen & own["ratio"].notna()]
                at = rows[(chosen & own["ratio"].notna()).to_numpy()]
                ax.plot(
                    part["ratio"],
                    at,
                    marker,
                    color="black",
                    markersize=5,
                    label=label,
                    markerfacecolor="black" if marker == "o" else "white",
                )
            ax.axvline(1, color=FAINT, linestyle="--", linewidth=1)
            words = task.replace("_", " ") + (f", length {length}" if length > 0 else "")
            ax.set(xscale="log", xlabel="test loss / memoryless baseline", title=words)
        axes[0, 0].set_yticks(
            range(len(entrants)), [plain(entrant) for entrant in entrants], fontsize=8
        )
        axes[0, 0].invert_yaxis()
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        return figure

    def caption(self, tables: Tables) -> str:
        """In words."""
        return (
            "Final test loss over that of the best answer without a memory (dashed: 1, nothing"
            " learned), geometric mean over seeds with its 95% bootstrap interval; filled where"
            " every seed solved the task. From the best on average over the tasks to the worst;"
            " where a training stops at success, the order of those that solved everything means"
            " little. A trial that diverged counts as ten times the baseline."
        )


def _entrants(tables: Tables, trials: pd.DataFrame) -> list[str]:
    """Labels without the part that is one and the same for all trials of a task, which names the
    task.
    """
    parts = {label: tables.axes[label] for label in tables.configurations}
    count = min(map(len, parts.values()))
    by_task = dict(
        zip(
            trials["configuration"], zip(trials["task"], trials["length"], strict=True), strict=True
        )
    )
    names = [
        place
        for place in range(count)
        if count > 1
        and len({(parts[label][place], task) for label, task in by_task.items()})
        == len(set(by_task.values()))
        > 1
    ]
    return [
        " · ".join(p for i, p in enumerate(parts[label]) if i not in names)
        for label in trials["configuration"]
    ]
