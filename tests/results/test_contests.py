"""Contests: who did best on an axis, against whom, on what evidence."""

import math

import numpy as np
import pytest
from scipy import stats

from gradscope.results.contests import contested, contests, settings_axes
from gradscope.results.tables import Tables
from gradscope.results.yardstick import yardstick
from tests.results.conftest import in_memory, swept

#: by network and seed: the losses of what is never solved
LOSSES = {
    ("a", 0): 0.50, ("a", 1): 0.60, ("a", 2): 0.55,
    ("b", 0): 0.90, ("b", 1): 0.98, ("b", 2): 0.91,
    ("c", 0): 0.55, ("c", 1): 0.50, ("c", 2): 0.60,
}  # fmt: skip


def held(tables):
    return contests(tables, yardstick(tables))


def test_the_best_is_held_against_each_of_the_others():
    (found,) = held(swept(("network",), LOSSES))
    assert (found.axis, found.best, found.pairs) == ("network", "a", 3)
    assert [standing.label for standing in found.others] == ["c", "b"]
    c, b = found.others
    logs = {label: np.log([LOSSES[label, seed] for seed in range(3)]) for label in "abc"}
    p = [stats.ttest_rel(logs[x], logs[y]).pvalue for x, y in ("ab", "ac", "bc")]
    assert b.p == pytest.approx(3 * p[0] if p[0] < p[2] else max(3 * p[2], 2 * p[0]))
    assert c.p == pytest.approx(max(p[1], 2 * max(p[0], p[2]), 3 * min(p[0], p[2])))
    assert b.best.effect.centre == pytest.approx(math.exp((logs["a"] - logs["b"]).mean()))
    assert (b.evident, c.evident) == (True, False)


def test_a_seed_counts_once_whatever_the_other_axes():
    losses = {
        (network, clip, seed): LOSSES[network, seed] * (1.1 if clip == "y" else 1.0)
        for network in "ab"
        for clip in "xy"
        for seed in range(3)
    }
    network, clip = held(swept(("network", "clipping"), losses))
    assert network.others[0].best.seeds == (3, 3)
    alone = held(swept(("network",), {k: v for k, v in LOSSES.items() if k[0] in "ab"}))[0]
    assert network.others[0].p == pytest.approx(alone.others[0].p)
    assert (clip.best, clip.others[0].best.effect.centre) == ("x", pytest.approx(1 / 1.1))


def test_an_unsolved_seed_counts_with_all_its_updates():
    """One of five at once loses against five of five later."""
    losses = {(x, seed): 0.05 if x == "b" or seed == 0 else 0.5 for x in "ab" for seed in range(5)}
    steps = {key: 100.0 if key[0] == "a" else 900.0 + key[1] for key in losses}
    (found,) = held(swept(("cell",), losses, steps))
    assert found.best == "b"
    assert not found.others[0].evident
    assert found.others[0].best.censored == (False, True)


def test_what_diverged_is_the_worst():
    losses = {("a", 0): math.nan, ("a", 1): 0.3, ("b", 0): 1.0, ("b", 1): 1.0}
    (found,) = held(swept(("cell",), losses))
    assert found.best == "b"


def test_an_axis_along_which_the_task_changes_is_no_contest():
    tables = swept(("problem", "network"), {(p, n, 0): 0.5 for p in "xy" for n in "ab"})
    entries = [
        entry.model_copy(
            update={"settings": {**entry.settings, "task": {"name": entry.axes["problem"]}}}
        )
        for entry in tables.trials
    ]
    changed = Tables({"trials": tables["trials"]}, entries)
    assert settings_axes(changed) == ["problem", "network"]
    assert contested(changed) == ["network"]
    assert contested(tables) == ["problem", "network"]


@pytest.mark.parametrize("axes", [("cell",), ("seed_like",)])
def test_an_axis_with_one_setting_is_none(axes):
    assert held(swept(axes, {("a", seed): 0.5 for seed in range(3)})) == []


def test_one_seed_leaves_no_p():
    (found,) = held(swept(("cell",), {("a", 0): 0.5, ("b", 0): 0.9}))
    assert math.isnan(found.others[0].p)
    assert not found.others[0].evident


def test_unlike_seeds_are_not_paired():
    losses = {("a", s): 0.5 + s / 100 for s in range(3)} | {("b", s): 0.9 + s / 100 for s in (5, 6)}
    (found,) = held(swept(("cell",), losses))
    assert (found.others[0].best.paired, found.others[0].best.seeds) == (False, (3, 2))


def test_settings_that_tie_are_not_told_apart():
    (found,) = held(swept(("cell",), {(x, s): 0.05 for x in "abc" for s in range(3)}))
    assert (found.best, [s.label for s in found.others]) == ("a", ["b", "c"])
    assert all((s.p, s.best.sign) == (1.0, 0) for s in found.others)


def test_a_setting_that_is_not_recorded_yet_takes_no_part():
    whole = swept(("cell",), LOSSES)
    trials = whole["trials"]
    partial = Tables({"trials": trials[trials["configuration"] != "b"]}, whole.trials)
    (found,) = held(partial)
    assert [standing.label for standing in found.others] == ["c"]


def test_within_a_length_the_greatest_counts():
    assert held(in_memory({"a": [0.5, 0.6], "b": [0.9, 0.95]}, length=20))[0].best == "a"
