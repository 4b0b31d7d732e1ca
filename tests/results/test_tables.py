"""Tables and their statistics."""

import math

import numpy as np
import pandas as pd
import pytest

from gradscope.errors import RunDirectoryError
from gradscope.results import tables
from gradscope.results.records import RunDirectory


def test_wilson_interval_against_the_formula():
    """(p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), z = 1.959964."""
    z, n, p = 1.959963984540054, 5, 0.6
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = ((centre + sign * half) / (1 + z * z / n) for sign in (-1, 1))
    assert tables.wilson(3, 5) == pytest.approx((low, high))
    assert tables.wilson(0, 3)[0] == 0


def test_summary_of_the_tiny_run(tiny_run):
    loaded = tables.load(RunDirectory(tiny_run))
    frame = tables.summary(loaded)
    assert list(dict.fromkeys(frame["configuration"])) == loaded.configurations
    assert set(frame["length"]) == {8, 12}
    assert (frame["trials"] == 2).all()
    by_label = frame[frame["length"] == 12].set_index("configuration")
    assert by_label.loc["diverging · none", "diverged_fraction"] == 1
    assert by_label.loc["dead · none", "growth_rate_initial"] == -math.inf
    assert by_label.loc["tanh · global_norm (max norm 0.1)", "clipped_fraction"] > 0.5
    assert by_label.loc["tanh · none", "clipped_fraction"] == 0
    own = loaded["trials"].query("configuration == 'tanh · none' and length == 12")
    assert by_label.loc["tanh · none", "final_loss"] == pytest.approx(own["final_loss"].median())


def test_growth_rate_is_of_the_recorded_norms(tiny_run):
    loaded = tables.load(RunDirectory(tiny_run))
    norms = loaded.first_and_last("jacobian_norms").query(
        "configuration == 'LSTM · none' and length == 12 and block == 'state' and lag == 12 and"
        " when == 'end of training'"
    )
    row = tables.summary(loaded).query("configuration == 'LSTM · none' and length == 12").iloc[0]
    assert row["growth_rate"] == pytest.approx(norms["log_spectral_norm"].median() / 12)


def test_predictions_are_held_against_the_data(tiny_run):
    frame = tables.held_against(tables.load(RunDirectory(tiny_run)))
    assert frame["held"].tolist() == [True, False]
    assert frame["measured"][0] == "success rate of tanh · none at length 12: 0"


def _of_seeds(first: list[float], second: list[float]) -> tables.Tables:
    """Final losses of two configurations by seed; a loss below 0.1 is a solution."""
    rows = [
        (label, seed, loss)
        for label, losses in (("a", first), ("b", second))
        for seed, loss in enumerate(losses)
    ]
    trials = [
        {
            "id": f"{label}{seed}",
            "configuration": label,
            "axes": {"x": label, "seed": str(seed)},
            "settings": {"task": {}},
        }
        for label, seed, _ in rows
    ]
    frame = pd.DataFrame(
        {
            "trial": [trial["id"] for trial in trials],
            "configuration": [label for label, _, _ in rows],
            "length": -1,
            "outcome": ["solved" if loss < 0.1 else "unsolved" for _, _, loss in rows],
            "final_loss": [loss for _, _, loss in rows],
            "baseline": 1.0,
            "steps_to_solve": float("nan"),
            "wrong_fraction": 0.0,
        }
    )
    claims = [
        {
            "claim": "rate",
            "measure": "success_rate",
            "configuration": "a",
            "above": "b",
            "below": None,
            "length": None,
        },
        {
            "claim": "loss",
            "measure": "final_loss",
            "configuration": "a",
            "above": None,
            "below": "b",
            "length": None,
        },
        {
            "claim": "bound",
            "measure": "final_loss",
            "configuration": "a",
            "above": None,
            "below": 0.5,
            "length": None,
        },
    ]
    return tables.Tables({"trials": frame}, {"trials": trials, "expect": claims}, {})


@pytest.mark.parametrize(
    ("first", "second", "held", "every"),
    [
        ([0.01, 0.02, 0.03], [0.8, 0.9, 0.9], [True, True, True], [True, True, True]),
        (
            [0.01, 0.02, 0.9],
            [0.05, 0.8, 0.9],
            [True, True, True],
            [False, False, False],
        ),  # two seeds of three against one
        ([0.01, 0.02, 0.3], [0.2, 0.8, 0.9], [True, True, True], [False, False, True]),
        ([0.8, 0.8, 0.8], [0.01, 0.01, 0.01], [False, False, False], [False, False, False]),
    ],
)
def test_a_prediction_that_seeds_do_not_decide_is_told_from_one_that_they_do(
    first, second, held, every
):
    frame = tables.held_against(_of_seeds(first, second))
    assert frame["held"].tolist() == held
    assert frame["every"].tolist() == every


def test_an_unknown_table_is_named_with_those_that_are_there():
    loaded = _of_seeds([0.1], [0.1])
    with pytest.raises(KeyError, match=r"no table 'trails'; did you mean 'trials'\?"):
        loaded["trails"]
    assert "trails" not in loaded
    assert repr(loaded) == "Tables: trials (2 rows)"


def test_verdict_names_every_configuration_once_per_question(tiny_run):
    loaded = tables.load(RunDirectory(tiny_run))
    sentences = tables.verdict(loaded)
    solved = " ".join(s for s in sentences if s.startswith("Solved"))
    for label in loaded.configurations:
        assert solved.count(f"{label} (") == 1
    before = next(s for s in sentences if s.startswith("Before training"))
    assert "over the 12 steps" in before
    assert "dead · none (×0)" in before
    assert any(s.startswith("Diverged") and "diverging · none" in s for s in sentences)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5"),
        (1234567.0, "1.23e+06"),
        (-0.00123, "−0.00123"),
        (math.nan, "–"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (3.0, "3"),
    ],
)
def test_numbers_in_print(value, text):
    assert tables.number(value) == text


def test_fates_and_factors():
    assert [tables.fate(x) for x in (-7, -6.8, 0, 6.8, 7, -math.inf)] == [
        "vanishes",
        "stays in range",
        "stays in range",
        "stays in range",
        "explodes",
        "vanishes",
    ]
    assert tables.factor(-900) == "10⁻³⁹¹"
    assert tables.factor(math.log(0.5)) == "0.5"
    assert tables.factor(-math.inf) == "0"


def test_median_keeps_infinities():
    assert tables.median(pd.Series([-np.inf, -np.inf, 0.0])) == -np.inf
    assert tables.median(pd.Series([-np.inf, 1.0, 3.0, np.nan])) == 1.0
    assert math.isnan(tables.median(pd.Series([], dtype=float)))


def test_a_run_without_a_finished_trial_says_so(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.prepare(
        "x",
        {},
        [{"id": "a", "configuration": "c", "axes": {}, "settings": {"task": {}, "seed": 0}}],
        "cpu",
    )
    with pytest.raises(RunDirectoryError, match="no trial is recorded yet"):
        tables.load(run)


def test_others_read_the_shards_as_they_lie(tiny_run):
    frame = pd.read_parquet(tiny_run / "tables" / "trials")
    assert len(frame) == 32
    assert {"trial", "outcome", "final_loss"} <= set(frame.columns)


def test_long_lists_are_cut_short_with_their_count():
    assert tables._listed(["a", "b"]) == "a, b"
    assert tables._listed([str(i) for i in range(12)]).endswith("10, 11")
    assert (
        tables._listed([str(i) for i in range(30)])
        == ", ".join(map(str, range(10))) + " and 20 more"
    )
