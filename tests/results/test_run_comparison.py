"""Runs held against each other: known differences come out, with what they rest on."""

import math

import numpy as np
import pytest
from scipy import stats

from gradscope.errors import RunDirectoryError
from gradscope.results.records import RunDirectory
from gradscope.results.run_comparison import RunComparison
from gradscope.results.tables import load
from tests.results.conftest import in_memory, run_by_hand, wanted

BEFORE = [0.50, 0.60, 0.55, 0.52]
AFTER = [0.25, 0.33, 0.26, 0.27]


def _compared(**runs):
    return RunComparison(
        {
            name: (wanted(*(tables := in_memory(losses)).trials), tables)
            for name, losses in runs.items()
        }
    )


def _of(comparison, measure="loss_over_baseline", **chosen):
    table = comparison.table()
    for column, value in {"measure": measure, **chosen}.items():
        table = table[table[column] == value]
    return table


def test_a_ratio_is_that_of_the_geometric_means_seed_by_seed():
    [row] = _of(
        _compared(a={"c": BEFORE, "d": [1.0] * 4}, b={"c": AFTER}), configuration="c"
    ).to_dict("records")
    logs = np.log(AFTER) - np.log(BEFORE)
    expected = stats.ttest_1samp(logs, 0)
    low, high = expected.confidence_interval()
    assert row["effect"] == pytest.approx(math.exp(logs.mean()))
    assert (row["effect_low"], row["effect_high"]) == pytest.approx((math.exp(low), math.exp(high)))
    assert row["p"] == pytest.approx(expected.pvalue)
    assert row["is_ratio"]
    assert row["paired"]
    assert row["evident"]
    assert (row["run"], row["against"], row["seeds"]) == ("b", "a", 4)


def test_p_is_corrected_over_the_configurations():
    both = {"c": BEFORE, "d": BEFORE}
    rows = _of(_compared(a=both, b={"c": AFTER, "d": [0.5, 0.62, 0.53, 0.55]}))
    alone = stats.ttest_1samp(np.log(AFTER) - np.log(BEFORE), 0).pvalue
    assert rows["p"].iloc[0] == pytest.approx(2 * alone)
    assert rows["p"].iloc[1] > 0.05
    assert rows["evident"].tolist() == [True, False]


def test_one_configuration_each_is_compared_whatever_it_is_called():
    comparison = _compared(a={"tanh": BEFORE}, b={"lstm": AFTER})
    assert _of(comparison)["configuration"].tolist() == ["lstm"]
    assert not comparison.missing


def test_what_a_run_lacks_is_told():
    comparison = _compared(a={"c": BEFORE, "d": BEFORE}, b={"c": AFTER, "e": AFTER})
    assert comparison.missing == {"d": ["b"], "e": ["a"]}
    assert (
        "Not in every run, and left out there: d (not in b), e (not in a)." in comparison.verdict()
    )


def test_nothing_in_common_is_refused():
    with pytest.raises(
        RunDirectoryError, match="no configuration in common: a has c, d; b has e, f"
    ):
        _compared(a={"c": BEFORE, "d": BEFORE}, b={"e": AFTER, "f": AFTER})


def test_a_run_beside_itself_is_the_same_in_every_seed():
    comparison = _compared(a={"c": BEFORE, "d": AFTER}, b={"c": BEFORE, "d": AFTER})
    assert comparison.table()["same"].all()
    assert "loss / baseline, b against a: the same in every seed." in comparison.verdict()


def test_a_trial_that_diverged_counts_with_the_worst_in_the_comparison_alone():
    [row] = _of(_compared(a={"c": BEFORE}, b={"c": [*AFTER[:3], math.nan]})).to_dict("records")
    assert row["value"] == pytest.approx(stats.gmean(AFTER[:3]))
    logs = np.log([*AFTER[:3], 10.0]) - np.log(BEFORE)
    assert row["effect"] == pytest.approx(math.exp(logs.mean()))


def test_every_further_run_is_held_against_the_first():
    comparison = _compared(a={"c": BEFORE}, b={"c": AFTER}, d={"c": BEFORE})
    assert _of(comparison)["run"].tolist() == ["b", "d"]
    assert _of(comparison)["against"].tolist() == ["a", "a"]
    assert _of(comparison)["same"].tolist() == [False, True]


def test_settings_that_differ(tmp_path):
    run = run_by_hand(tmp_path / "run")
    manifest, tables = run.manifest(), load(run)
    other = manifest.model_copy(
        update={
            "trials": [
                trial.model_copy(update={"settings": {**trial.settings, "optimizer": {"lr": 0.1}}})
                for trial in manifest.trials
            ]
        }
    )
    comparison = RunComparison({"a": (manifest, tables), "b": (other, tables)})
    assert comparison.settings().to_dict("records") == [
        {"setting": "optimizer.lr", "a": "–", "b": "0.1"}
    ]


def test_lengths_are_lined_up(tmp_path):
    first = run_by_hand(tmp_path / "run")
    both = {name: (first.manifest(), load(RunDirectory(first.path))) for name in ("a", "b")}
    rows = _of(RunComparison(both), "memory_horizon")
    assert list(zip(rows["configuration"], rows["length"], strict=True)) == [
        ("tanh", 10),
        ("tanh", 20),
        ("lstm", 10),
        ("lstm", 20),
    ]
