"""The base of all plots: what it needs, and how it says that it cannot draw."""

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.figure import Figure

from gradscope.errors import NothingToDrawError
from gradscope.plots import Plot
from gradscope.plots._style import STYLE, new_figure
from gradscope.results.tables import Tables
from tests.plots.conftest import made


class Both(Plot):
    """Of two tables."""

    requires = ("spectra", "gates")
    title = "Both"
    over = "real"

    def data(self, tables: Tables) -> pd.DataFrame:
        return tables["spectra"]

    def draw(self, tables: Tables) -> Figure:
        assert mpl.rcParams["axes.edgecolor"] == STYLE["axes.edgecolor"]
        return new_figure(1, 1, height=1.0)[0]

    def caption(self, tables: Tables) -> str:
        return "Both."


class Either(Both):
    """Of one of two tables."""

    requires = ()
    requires_any = ("spectra", "gates")


def test_all_required_tables_are_wanted():
    assert Both.missing(made()) == ["the table 'spectra'", "the table 'gates'"]
    assert Both.missing(made(gates={"unit": [0]})) == ["the table 'spectra'"]
    assert Both.missing(made(gates={"unit": [0]}, spectra={"real": [0]})) == []


def test_one_of_several_is_enough():
    assert Either.missing(made()) == ["the table 'spectra' or 'gates'"]
    assert Either.missing(made(gates={"unit": [0]})) == []


def test_a_figure_says_what_it_needs():
    with pytest.raises(NothingToDrawError, match="the table 'gates'"):
        Both().figure(made(spectra={"real": [0.0]}))


def test_rows_are_needed_as_well():
    with pytest.raises(NothingToDrawError, match="nothing was recorded"):
        Both().figure(made(spectra={"real": []}, gates={"unit": [0]}))


def test_a_figure_is_drawn_in_the_style_and_leaves_matplotlibs_own_alone():
    before = dict(mpl.rcParams)
    figure = Both().figure(made(spectra={"real": [0.0]}, gates={"unit": [0]}))
    assert isinstance(figure, Figure)
    assert dict(mpl.rcParams) == before


def test_facts_have_defaults():
    assert (Both.order, Both.of_recordings, Both.face) == (1000, True, None)
    assert not Both.scope_options
