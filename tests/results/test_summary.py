"""The summary: a row for each configuration and length, a column for each measure."""

import math

import pandas as pd
import pytest
from scipy.stats import gmean

from gradscope.results import tables
from gradscope.results.manifest import TaskAbout
from gradscope.results.measures import MEASURES
from gradscope.results.records import RunDirectory
from gradscope.results.summary import formatted, summary
from tests.results.conftest import in_memory, run_by_hand

BITS = {"adding": TaskAbout(measures={"bits": ("bits", "per character")})}


def test_summary_of_the_tiny_run(tiny_run):
    loaded = tables.load(RunDirectory(tiny_run))
    frame = summary(loaded)
    assert list(dict.fromkeys(frame["configuration"])) == loaded.configurations
    assert set(frame["length"]) == {8, 12}
    assert (frame["trials"] == 2).all()
    by_label = frame[frame["length"] == 12].set_index("configuration")
    assert by_label.loc["diverging · none", "diverged_fraction"] == 1
    assert by_label.loc["dead · none", "growth_rate_initial"] == -math.inf
    assert by_label.loc["tanh · global_norm (max norm 0.1)", "clipped_fraction"] > 0.5
    assert by_label.loc["tanh · none", "clipped_fraction"] == 0
    own = loaded["trials"].query("configuration == 'tanh · none' and length == 12")
    assert by_label.loc["tanh · none", "final_loss"] == pytest.approx(gmean(own["final_loss"]))


def test_growth_rate_is_of_the_recorded_norms(tiny_run):
    loaded = tables.load(RunDirectory(tiny_run))
    norms = loaded.first_and_last("jacobian_norms").query(
        "configuration == 'LSTM · none' and length == 12 and block == 'state' and lag == 12 and"
        " when == 'end of training'"
    )
    row = summary(loaded).query("configuration == 'LSTM · none' and length == 12").iloc[0]
    assert row["growth_rate"] == pytest.approx(
        norms.groupby("trial")["log_spectral_norm"].median().mean() / 12
    )


def test_a_run_by_hand(tmp_path):
    frame = summary(tables.load(run_by_hand(tmp_path / "run")))
    assert list(zip(frame["configuration"], frame["length"], strict=True)) == [
        ("tanh", 10),
        ("tanh", 20),
        ("lstm", 10),
        ("lstm", 20),
    ]
    assert [name for name in frame.columns if name in MEASURES] == list(MEASURES)
    intervals = [name for name, measure in MEASURES.items() if measure.scale.has_interval]
    assert {f"{name}_{end}" for name in intervals for end in ("low", "high", "n")} < set(frame)
    tanh, lstm = frame.iloc[1], frame.iloc[3]
    assert (tanh["solved"], lstm["solved"]) == (0, 2)
    assert (tanh["growth_rate_initial"], tanh["growth_rate"]) == (-0.5, -1.0)
    assert (tanh["memory_horizon"], lstm["memory_horizon"]) == (1.0, 20.0)
    assert (tanh["memory_horizon_censored"], lstm["memory_horizon_censored"]) == (False, True)
    assert (tanh["clipped_fraction"], lstm["clipped_fraction"]) == (0.0, 0.5)
    assert frame["trials"].dtype == frame["solved"].dtype == int


def test_without_a_probe_there_is_no_column_of_it():
    frame = summary(in_memory({"a": [0.5]}))
    absent = {name for name, measure in MEASURES.items() if measure.needs != "trials"}
    assert absent
    assert not [name for name in frame if name.startswith(tuple(absent - {"steps"}))]
    assert set(MEASURES) - absent < set(frame.columns)


def test_a_tasks_own_measures_stand_behind_the_losses():
    loaded = in_memory({"a": [0.5, 0.7]})
    loaded["trials"]["bits"] = [1.0, 3.0]
    columns = [name for name in summary(loaded, BITS) if name in {*MEASURES, "bits"}]
    assert columns[columns.index("loss_over_baseline") + 1] == "bits"
    assert summary(loaded, BITS)["bits"].tolist() == [pytest.approx(math.sqrt(3))]
    assert "bits" not in summary(loaded)
    unknown = in_memory({"a": [0.5, 0.7]})
    unknown["trials"]["bits"] = math.nan
    assert "bits" not in summary(unknown, BITS)


def test_in_print():
    loaded = in_memory({"a": [0.05, 0.5], "b": [0.5, 0.5]}, length=20)
    loaded["trials"]["bits"] = [1.0, 3.0, 4.0, 4.0]
    printed = formatted(summary(loaded, BITS), BITS)
    assert printed["configuration"].tolist() == ["a", "b"]
    assert printed["length (steps)"].tolist() == ["20", "20"]
    # logarithms 0 and ln 3: their mean -+ 12.71 ln(3) / 2 in e's power
    assert printed["bits (per character)"].tolist() == [
        "1.73\n(0.00161 to 1861)",
        "4\n(no interval, n = 2)",
    ]
    assert printed["solved (95% interval)"].tolist() == ["1/2\n(1% to 99%)", "0/2\n(0% to 84%)"]
    assert not [name for name in printed if name.startswith(("trials", "diverged"))]


def test_what_is_nowhere_is_not_printed_and_neither_is_a_length_that_does_not_exist():
    printed = formatted(summary(in_memory({"a": [math.nan, 0.5]})))
    assert printed["diverged (of trials)"].tolist() == ["1/2\n(1% to 99%)"]
    assert "length (steps)" not in printed


def test_tables_stay_as_they_are(tmp_path):
    loaded = tables.load(run_by_hand(tmp_path / "run"))
    before = {name: frame.copy() for name, frame in loaded.items()}
    formatted(summary(loaded))
    for name, frame in loaded.items():
        pd.testing.assert_frame_equal(frame, before[name])
