"""How figures are made and saved."""

import subprocess
import sys

import matplotlib as mpl
import pytest

from gradscope.plots._style import STYLE, WIDTH, new_figure, rendered, styled


def _drawn():
    with styled():
        figure, axes = new_figure(1, 2, height=2.0, sharey=True)
        axes[0, 0].plot([0, 1], [0, 1])
        axes[0, 1].plot([0, 1], [5, 6])
    return figure


def test_the_style_holds_inside_only():
    outside = mpl.rcParams["axes.edgecolor"]
    with styled():
        assert mpl.rcParams["axes.edgecolor"] == STYLE["axes.edgecolor"] != outside
    assert mpl.rcParams["axes.edgecolor"] == outside


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 3), (2, 1), (2, 3)])
def test_axes_are_a_grid_whatever_their_number(rows, columns):
    figure, axes = new_figure(rows, columns, height=3.0)
    assert axes.shape == (rows, columns)
    assert tuple(figure.get_size_inches()) == (WIDTH, 3.0)


def test_axes_are_shared_as_asked():
    left, right = _drawn().axes
    assert left.get_ylim() == right.get_ylim()


@pytest.mark.parametrize(("format", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_files_are_the_same_each_time(format, start):
    content = rendered(_drawn(), format)
    assert content.startswith(start)
    assert content == rendered(_drawn(), format)


def test_figures_are_not_held_by_pyplot():
    """So that however many a notebook draws, none is left open, and none is shown twice."""
    import matplotlib.pyplot as plt

    for _ in range(30):  # from 20 on pyplot would warn
        new_figure(1, 1, height=1.0)
    assert plt.get_fignums() == []


def test_figures_are_shown_by_notebooks_without_pyplot():
    code = (
        "import sys\n"
        "from gradscope.plots._style import new_figure\n"
        "figure, _ = new_figure(1, 1, height=1.0)\n"
        "figure.description = 'a line'\n"
        "content, about = figure._repr_mimebundle_()\n"
        "assert content['image/png'].startswith(b'\\x89PNG')\n"
        "assert about == {'image/png': {'width': 900, 'alt': 'a line'}}\n"
        "import matplotlib._pylab_helpers as helpers\n"
        "assert not helpers.Gcf.figs\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
