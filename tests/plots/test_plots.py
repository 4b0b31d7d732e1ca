"""Every registered plot, on a run that holds dead, diverged, clipped and gated configurations."""

import matplotlib
import pandas as pd
import pytest
from matplotlib.figure import Figure

from gradscope.components import registry
from gradscope.experiment import schema as config
from gradscope.experiment.run import run_sweep
from gradscope.plots._explorer import explorer
from gradscope.plots._plot import looks, styled
from gradscope.results import tables
from gradscope.results.records import RunDirectory
from tests.conftest import Silent


@pytest.fixture(scope="module")
def loaded(tiny_run):
    return tables.load(RunDirectory(tiny_run))


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """The smallest run there is: one trial, no sweep, truncated."""
    path = tmp_path_factory.mktemp("runs") / "single"
    run_sweep(
        config.parse(
            "task: {name: copy_memory, length: 3}\ncell: {name: gru, hidden_size: 4}\n"
            "training: {steps: 4, batch_size: 2, tbptt_length: 5}\nevaluation: {sequences: 5}\n"
            f"probes: [{', '.join(registry.names('probe'))}]"
        ),
        RunDirectory(path),
        Silent(),
    )
    return tables.load(RunDirectory(path))


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """Language models, tested at another context as well: a run for every figure."""
    path = tmp_path_factory.mktemp("runs") / "text"
    run_sweep(
        config.parse(
            "task: {name: char_lm, length: 20, ngram: 2, test_tokens: 500}\ncell: {name: gru,"
            " hidden_size: 4}\ntraining: {steps: 4, batch_size: 2}\nevaluation: {lengths: [5,"
            f" 50]}}\nprobes: [{', '.join(registry.names('probe'))}]\nsweep: {{cell.hidden_size:"
            " [2, 3, 4, 5], cell.name: [gru, lstm]}"
        ),
        RunDirectory(path),
        Silent(),
    )
    return tables.load(RunDirectory(path))


@pytest.mark.parametrize("name", registry.names("plot"))
@pytest.mark.parametrize("which", ["text", "loaded", "single"])
def test_contract(name, which, request):
    """Draws without a warning, labels every axis, leaves the tables alone, and says what it shows."""
    run = request.getfixturevalue(which)
    plot = registry.get("plot", name)()
    before = {table: frame.copy() for table, frame in run.items()}
    if which != "text" and (plot.missing(run) or plot.data(run).empty):
        return  # nothing of it in that run; in the run of a text there is something of everything
    data = plot.data(run)
    assert isinstance(data, pd.DataFrame)
    assert len(data)
    with styled():
        figure = plot.draw(run)
        assert isinstance(figure, Figure)
        figure.draw_without_rendering()
    for table, frame in run.items():
        pd.testing.assert_frame_equal(frame, before[table])
    visible = [ax for ax in figure.axes if ax.get_visible()]
    assert all(ax.has_data() for ax in visible)
    words = [ax.get_xlabel() + ax.get_ylabel() for ax in visible]
    assert any(words)
    caption = plot.caption(run)
    assert caption.endswith(".")
    assert len(caption) > 80
    assert plot.title
    assert plot.missing(run) == []
    assert plot.requires or plot.requires_any


def _overlap(a, b) -> float:
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    return max(width, 0) * max(height, 0)


@pytest.mark.parametrize("name", registry.names("plot"))
def test_no_text_lies_on_another(name, loaded, text):
    """Titles, axis labels and legends of a figure keep clear of each other."""
    loaded = text if registry.get("plot", name).missing(loaded) else loaded
    with styled():
        figure = registry.get("plot", name)().draw(loaded)
        figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer() if hasattr(figure.canvas, "get_renderer") else None
    renderer = renderer or matplotlib.backends.backend_agg.FigureCanvasAgg(figure).get_renderer()
    boxes = []
    for ax in figure.axes:
        if ax.get_visible():
            boxes += [
                (text.get_text(), text.get_window_extent(renderer))
                for text in (ax.title, ax.xaxis.label, ax.yaxis.label)
                if text.get_text()
            ]
    boxes += [("legend", item.get_window_extent(renderer)) for item in figure.legends]
    for i, (first, a) in enumerate(boxes):
        for second, b in boxes[i + 1 :]:
            assert _overlap(a, b) < 4, f"{first!r} lies on {second!r}"


def test_orders_are_distinct():
    orders = [registry.get("plot", name).order for name in registry.names("plot")]
    assert len(set(orders)) == len(orders)


def test_two_axes_are_colour_and_dashes(loaded):
    found = looks(loaded)
    assert len({look.colour for look in found.values()}) == 4
    assert len({str(look.dash) for look in found.values()}) == 2


def test_gradient_vs_lag_draws_what_was_recorded(loaded):
    plot = registry.get("plot", "gradient_vs_lag")()
    data = plot.data(loaded)
    raw = loaded["jacobian_norms"]
    row = data.query(
        "configuration == 'LSTM · none' and lag == 3 and when == 'before training' and seed == 1"
    ).iloc[0]
    source = raw[
        (raw["trial"] == row["trial"])
        & (raw["t"] == 12)
        & (raw["k"] == 9)
        & (raw["block"] == "state")
        & (raw["train_step"] == 0)
    ]
    assert source["log_spectral_norm"].tolist() == [row["log_spectral_norm"]]
    assert (data["lag"] >= 0).all()


def test_explorer_has_a_position_for_every_measured_step(loaded):
    figure = explorer(loaded)
    steps = sorted(loaded.at_longest("jacobian_norms")["train_step"].unique())
    assert [frame.name for frame in figure.frames] == [str(step) for step in steps]
    assert len(figure.data) == len(loaded.configurations)


def test_exact_zeros_count_in_the_median(loaded):
    """Two of three seeds dead: the line ends in a triangle; one of three: the median is what the
    others say.
    """
    from matplotlib.axes import Axes

    from gradscope.plots._plot import lines

    label = loaded.configurations[0]
    for dead, drawn in ((2, False), (1, True)):
        values = [float("-inf")] * dead + [-1.0] * (3 - dead)
        frame = pd.DataFrame({"configuration": label, "x": [1, 1, 1], "y": values})
        axes: Axes = Figure().subplots()
        lines(axes, frame, loaded, x="x", y="y", floor=-5.0)
        triangles = [line for line in axes.lines if line.get_marker() == "v"]
        assert bool(triangles) is not drawn
        assert all(
            line.get_ydata().tolist() == [-1.0]
            for line in axes.lines
            if line not in triangles and drawn
        )


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Several tasks, one with a length for each batch; configurations of different lengths; labels
    that are markup.
    """
    path = tmp_path_factory.mktemp("runs") / "mixed"
    text = """
question: "$x$ and [/b] and <i>"
task: {name: adding, length: 8}
cell: {name: rnn, hidden_size: 4}
training: {steps: 5, batch_size: 2}
evaluation: {every: 2, sequences: 5}
probes:
  - {name: adjoint_norms, every: 1}
  - {name: jacobian_norms, every: 1}
  - {name: memory_horizon, every: 1}
  - REST
sweep:
  what:
    - {label: "short $a$ [/b]", task.length: 8}
    - {label: "long_$", task: {name: temporal_order, length: 10, max_length: 16}}
    - {label: copy, task: {name: copy_memory, length: 2}}
  seed: [0, 1]
"""
    rest = [name for name in registry.names("probe") if name not in text]
    run_sweep(config.parse(text.replace("REST", "\n  - ".join(rest))), RunDirectory(path), Silent())
    return tables.load(RunDirectory(path))


@pytest.mark.parametrize(
    "name", sorted({*registry.names("plot")} - {"fixed_points"})
)  # a cell may have none to show
def test_mixed_runs_lose_no_configuration(name, mixed):
    plot = registry.get("plot", name)()
    if plot.missing(mixed):
        assert name in ("language", "other_lengths", "traced_text", "league")
        return
    with styled():
        plot.draw(mixed).draw_without_rendering()
    assert set(plot.data(mixed)["configuration"]) == set(mixed.configurations)


def test_mixed_runs_in_words_and_in_the_explorer(mixed):
    words = " ".join(tables.verdict(mixed))
    for label in mixed.configurations:
        assert words.count(label) == 3  # solved or not, before, after
    assert len(explorer(mixed).frames) == 6
    panels = registry.get("plot", "learning_curves")().draw(mixed).axes
    assert [ax.get_ylabel() for ax in panels] == [
        "test loss (MSE)",
        "test loss (nats)",
        "test loss (nats)",
    ]
