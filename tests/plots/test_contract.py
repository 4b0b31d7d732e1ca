"""Every registered plot, on runs with dead, diverged, truncated and gated configurations."""

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from gradscope.errors import NothingToDrawError
from gradscope.plots import PLOTS, Plot
from gradscope.plots._style import COLUMN, column
from gradscope.probes import PROBES
from gradscope.results.tables import Tables
from gradscope.results.verdict import verdict


def _cannot_draw(plot: Plot, tables: Tables) -> bool:
    return bool(plot.missing(tables)) or plot.data(tables).empty


def _overlap(a: Bbox, b: Bbox) -> float:
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    return max(width, 0) * max(height, 0)


def _check_clear(figure: Figure) -> None:
    """Titles, axis labels and legends of a drawn figure keep clear of each other."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [("legend", legend.get_window_extent(renderer)) for legend in figure.legends]
    for ax in figure.axes:
        for words in (ax.title, ax.xaxis.label, ax.yaxis.label):
            if ax.get_visible() and words.get_text():
                boxes.append((words.get_text(), words.get_window_extent(renderer)))
    for i, (first, a) in enumerate(boxes):
        for second, b in boxes[i + 1 :]:
            assert _overlap(a, b) < 4, f"{first!r} lies on {second!r}"


def _check(plot: Plot, tables: Tables) -> None:
    """It draws, labels its axes, tells what it shows, and leaves the tables alone."""
    before = {name: frame.copy() for name, frame in tables.items()}
    data = plot.data(tables)
    assert isinstance(data, pd.DataFrame)
    assert len(data)
    assert plot.over in data
    figure = plot.figure(tables)
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    caption = plot.caption(tables)
    for name, frame in tables.items():
        pd.testing.assert_frame_equal(frame, before[name])
    visible = [ax for ax in figure.axes if ax.get_visible()]
    assert visible
    assert all(ax.has_data() for ax in visible)
    assert any(ax.get_xlabel() + ax.get_ylabel() for ax in visible)
    _check_clear(figure)
    assert len(caption) > 80
    assert caption.endswith(".")
    assert "  " not in caption
    assert ".." not in caption


@pytest.fixture
def everything(name, text, compared, headed):
    """A run with every table; of figures that hold runs against each other, two of them."""
    own = {"differences": compared, "heads": headed}
    return next((own[need] for need in PLOTS.get(name).requires if need in own), text)


@pytest.mark.parametrize("name", PLOTS.names())
def test_draws_the_run_that_has_everything(name, everything):
    _check(PLOTS.get(name)(), everything)


@pytest.mark.whole
@pytest.mark.parametrize("name", PLOTS.names())
def test_one_column_of_a_paper_holds_it(name, everything):
    with column():
        figure = PLOTS.get(name)().figure(everything)
        figure.draw_without_rendering()
    _check_clear(figure)
    renderer = FigureCanvasAgg(figure).get_renderer()
    assert figure.get_size_inches()[0] == COLUMN
    for legend in figure.legends:
        box = legend.get_window_extent(renderer)
        assert box.x0 >= -1
        assert box.x1 <= figure.bbox.x1 + 1


@pytest.mark.parametrize("name", PLOTS.names())
@pytest.mark.parametrize("which", ["tiny", "single"])
def test_draws_or_says_why_not(name, which, request):
    tables, plot = request.getfixturevalue(which), PLOTS.get(name)()
    if _cannot_draw(plot, tables):
        with pytest.raises(NothingToDrawError, match="recorded"):
            plot.figure(tables)
    else:
        _check(plot, tables)


@pytest.mark.parametrize("name", PLOTS.names())
def test_says_what_it_needs_where_there_is_nothing(name):
    plot = PLOTS.get(name)()
    assert plot.missing(Tables({}, []))
    with pytest.raises(NothingToDrawError, match="it needs the table '"):
        plot.figure(Tables({}, []))


@pytest.mark.parametrize("name", PLOTS.names())
def test_draws_recordings_of_one_model_in_their_words(name, recordings):
    plot = PLOTS.get(name)
    if plot.of_recordings:
        _check(plot.model_validate(dict(plot.scope_options)), recordings)
        caption = plot().caption(recordings).lower()
        strange = ["seed", "configuration", "trial", "before training", "end of training"]
        assert not [word for word in strange if word in caption]
    else:
        assert plot.missing(recordings)


@pytest.mark.parametrize("name", PLOTS.names())
def test_sweeps_are_told_of_in_their_words(name, everything):
    caption = PLOTS.get(name)().caption(everything).lower()
    assert not [word for word in ("recurrence", "recording") if word in caption]


def test_places_are_distinct():
    orders = [plot.order for plot in PLOTS.classes()]
    faces = [plot.face for plot in PLOTS.classes() if plot.face is not None]
    assert len(set(orders)) == len(orders)
    assert len(set(faces)) == len(faces) > 0


@pytest.mark.parametrize("name", PLOTS.names())
def test_facts_of_the_class(name):
    plot = PLOTS.get(name)
    assert plot.title
    assert plot.requires or plot.requires_any
    assert set(plot.scope_options) <= set(plot.model_fields)


@pytest.mark.whole
@pytest.mark.parametrize("name", PLOTS.names())
def test_mixed_runs_lose_no_configuration(name, mixed):
    plot = PLOTS.get(name)()
    if plot.missing(mixed):
        with pytest.raises(NothingToDrawError):
            plot.figure(mixed)
        recorded = {*PROBES.names(), "trials"} - {"heads"}  # which no cell of it has
        assert not {*plot.requires} <= recorded or name == "traced_text"
    elif plot.data(mixed).empty:
        assert name == "fixed_points"  # a cell may have none to show
    else:
        _check(plot, mixed)
        lost = set(mixed.configurations) - set(plot.data(mixed)["configuration"])
        assert not lost or name == "fixed_points"


def test_mixed_runs_in_words(mixed):
    words = " ".join(verdict(mixed))
    for label in mixed.configurations:
        # solved or not; its loss, as no seed solved it; the gradient before and after
        assert words.count(label) == 4
