"""Runs held against each other, from Python and on the page."""

import pytest

import gradscope
from gradscope.errors import GradscopeError, RunDirectoryError
from tests.results.conftest import run_by_hand


def test_runs_or_their_directories_are_compared(two_rates):
    compared = gradscope.compare(*two_rates)
    assert list(compared.runs) == ["slow", "fast_<i>"]
    assert compared.settings.to_dict("records") == [
        {"setting": "optimizer.lr", "slow": "0.001", "fast_<i>": "0.1"}
    ]
    by_path = gradscope.compare(*(run.path for run in two_rates))
    assert by_path.table.equals(compared.table)
    assert set(compared.table["configuration"]) == {"rnn", "lstm"}
    assert "&lt;i&gt;" in compared._repr_html_()
    assert repr(compared) == "Compared(slow, fast_<i>)"


def test_both_runs_are_in_one_figure(two_rates):
    figure = gradscope.plots.gradient_vs_lag(gradscope.compare(*two_rates))
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


def test_one_run_is_no_comparison(two_rates):
    with pytest.raises(GradscopeError, match="two runs or more, got 1"):
        gradscope.compare(two_rates[0])
    with pytest.raises(GradscopeError, match="slow is named twice"):
        gradscope.compare(two_rates[0], two_rates[0].path)
    with pytest.raises(RunDirectoryError, match="nowhere: does not exist"):
        gradscope.compare(two_rates[0], two_rates[0].path.parent / "nowhere")
