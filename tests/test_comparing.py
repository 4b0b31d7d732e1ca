"""Runs held against each other, from Python and on the page."""

import pytest

import gradscope
from gradscope.errors import GradscopeError, RunDirectoryError
from tests.results.conftest import run_by_hand

SMALL = {
    "task": {"name": "adding", "length": 4},
    "training": {"steps": 2},
    "evaluation": {"sequences": 5},
    "probes": ["jacobian_norms"],
    "sweep": {"cell": ["rnn", "lstm"], "seed": [0, 1]},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One experiment at two learning rates."""
    folder = tmp_path_factory.mktemp("runs")
    return [
        gradscope.run(SMALL, out=folder / name, overrides={"optimizer.lr": rate}, progress=False)
        for name, rate in (("slow", 0.001), ("fast_<i>", 0.1))
    ]


def test_runs_or_their_directories_are_compared(runs):
    compared = gradscope.compare(*runs)
    assert list(compared.runs) == ["slow", "fast_<i>"]
    assert compared.settings.to_dict("records") == [
        {"setting": "optimizer.lr", "slow": "0.001", "fast_<i>": "0.1"}
    ]
    by_path = gradscope.compare(*(run.path for run in runs))
    assert by_path.table.equals(compared.table)
    assert set(compared.table["configuration"]) == {"rnn", "lstm"}
    assert "&lt;i&gt;" in compared._repr_html_()
    assert repr(compared) == "Compared(slow, fast_<i>)"


def test_both_runs_are_in_one_figure(runs):
    figure = gradscope.plots.gradient_vs_lag(gradscope.compare(*runs))
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "rnn, slow",
        "lstm, slow",
        "rnn, fast_<i>",
        "lstm, fast_<i>",
        "contraction bound",
    ]


def test_names_are_as_long_as_it_takes(tmp_path):
    for name in ("a/run", "b/run"):
        run_by_hand(tmp_path / name)
    assert list(gradscope.compare(tmp_path / "a/run", tmp_path / "b/run").runs) == [
        "a/run",
        "b/run",
    ]


def test_one_run_is_no_comparison(runs):
    with pytest.raises(GradscopeError, match="two runs or more, got 1"):
        gradscope.compare(runs[0])
    with pytest.raises(GradscopeError, match="slow is named twice"):
        gradscope.compare(runs[0], runs[0].path)
    with pytest.raises(RunDirectoryError, match="nowhere: does not exist"):
        gradscope.compare(runs[0], runs[0].path.parent / "nowhere")
