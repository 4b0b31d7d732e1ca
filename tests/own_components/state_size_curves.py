"""A plot of somebody's own."""

from gradscope.plots import Plot, register
from gradscope.plots._style import new_figure


@register("state_size_curves")
class StateSizeCurves(Plot):
    """How large the state is along a sequence."""

    requires = ("state_sizes",)
    title = "Sizes of the state"
    over = "t"

    def data(self, tables):
        return tables["state_sizes"][["configuration", "trial", "train_step", "t", "rms"]]

    def draw(self, tables):
        figure, axes = new_figure(1, 1, height=3.0)
        for label, rows in self.data(tables).groupby("configuration"):
            axes[0, 0].plot(rows["t"], rows["rms"], ".", label=label)
        axes[0, 0].set(xlabel="t (steps)", ylabel="root mean square of the state")
        axes[0, 0].legend()
        return figure

    def caption(self, tables):
        return f"Root mean square of the state, by {tables.words.one}."
