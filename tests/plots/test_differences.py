"""Differences between runs."""

import numpy as np
import pytest

from gradscope.errors import NothingToDrawError
from gradscope.plots.differences import Differences
from gradscope.results.run_comparison import RunComparison
from tests.results.conftest import in_memory, wanted

BEFORE, AFTER = [0.50, 0.60, 0.55, 0.52], [0.25, 0.33, 0.26, 0.27]


def _compared(**runs):
    parts = {name: in_memory(losses) for name, losses in runs.items()}
    return RunComparison(
        {name: (wanted(*tables.trials), tables) for name, tables in parts.items()}
    ).tables


def _two():
    return _compared(a={"c": BEFORE, "d": BEFORE}, b={"c": AFTER, "d": [0.5, 0.62, 0.53, 0.55]})


def test_what_runs_are_judged_by_is_shown_unasked():
    data = Differences().data(_two())
    assert data["measure"].unique().tolist() == ["loss_over_baseline"]
    assert data["configuration"].tolist() == ["c", "d"]
    assert set(Differences(measure="success_rate").data(_two())["measure"]) == {"success_rate"}


def test_what_is_beyond_chance_is_filled():
    [ax] = Differences().figure(_two()).axes
    filled, hollow = (line for line in ax.lines if line.get_marker() == "o")
    assert filled.get_markerfacecolor() != "white"
    assert (len(filled.get_xdata()), len(hollow.get_xdata())) == (1, 1)
    assert float(filled.get_xdata()[0]) == pytest.approx(
        np.exp(np.mean(np.log(AFTER) - np.log(BEFORE)))
    )
    assert [label.get_text() for label in ax.get_yticklabels()] == ["c", "d"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first at the top
    assert "ratio" in ax.get_xlabel()


def test_each_further_run_has_a_panel():
    tables = _compared(a={"c": BEFORE}, b={"c": AFTER}, e={"c": BEFORE})
    titles = [ax.get_title() for ax in Differences().figure(tables).axes]
    assert titles == ["b against a", "e against a"]


def test_ratios_that_differ_by_more_than_tenfold_have_a_logarithmic_axis():
    near = Differences().figure(_two()).axes[0]
    far = _compared(a={"c": [9e2 * loss for loss in BEFORE]}, b={"c": AFTER})
    wide = _compared(a={"c": [1.0, 1.0]}, b={"c": [0.2, 5.0]})
    assert near.get_xscale() == "linear"
    assert Differences().figure(far).axes[0].get_xscale() == "linear"
    assert Differences().figure(wide).axes[0].get_xscale() == "log"


def test_a_measure_that_nobody_has_is_nothing_to_draw():
    with pytest.raises(NothingToDrawError, match="nothing was recorded"):
        Differences(measure="none_such").figure(_two())
