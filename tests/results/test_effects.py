"""Shares of variance and their F-tests, against sums of squares by hand and scipy's."""

import math

import numpy as np
import pytest
from scipy import stats

from gradscope.results.effects import REST, effects
from gradscope.results.yardstick import yardstick
from tests.results.conftest import swept


def of(axes, losses):
    tables = swept(axes, losses)
    return effects(tables, yardstick(tables)).set_index("term")


def drawn(first, second, seeds, shift=0.0):
    """Lognormal losses, larger at the first setting of both axes."""
    generator = np.random.default_rng(0)
    return {
        (a, b, seed): 0.3 * math.exp(shift * (a == "x") * (b == "p") + generator.normal(0, 0.1))
        for a in first
        for b in second
        for seed in range(seeds)
    }


def test_one_axis_is_a_one_way_analysis():
    losses = {(x, s): value for (x, _, s), value in drawn("xyz", "p", 4, 0.2).items()}
    found = of(("network",), losses)
    groups = [np.log([losses[x, s] for s in range(4)]) for x in "xyz"]
    expected = stats.f_oneway(*groups)
    assert found.loc["network", "p"] == pytest.approx(expected.pvalue)
    whole = np.concatenate(groups)
    within = sum(((g - g.mean()) ** 2).sum() for g in groups)
    share = 1 - within / ((whole - whole.mean()) ** 2).sum()
    assert found.loc["network", "share"] == pytest.approx(share)
    assert found.loc[REST, "share"] == pytest.approx(1 - share)
    assert found["freedom"].to_dict() == {"network": 2, REST: 9}


def test_two_axes_and_their_interaction_by_the_means_of_a_balanced_table():
    losses = drawn("xy", "pqr", 5, 0.5)
    table = np.log([[[losses[a, b, s] for s in range(5)] for b in "pqr"] for a in "xy"])
    grand = table.mean()
    rows, columns, cells = table.mean((1, 2)), table.mean((0, 2)), table.mean(2)
    squares = {
        "first": 15 * ((rows - grand) ** 2).sum(),
        "second": 10 * ((columns - grand) ** 2).sum(),
        "first × second": 5 * ((cells - rows[:, None] - columns + grand) ** 2).sum(),
        REST: ((table - cells[:, :, None]) ** 2).sum(),
    }
    found, freedom = of(("first", "second"), losses), {"first": 1, "second": 2}
    whole = ((table - grand) ** 2).sum()
    for term, expected in squares.items():
        assert found.loc[term, "share"] == pytest.approx(expected / whole), term
    assert found["share"].sum() == pytest.approx(1)
    raw = {
        term: stats.f.sf(squares[term] / df / (squares[REST] / 24), df, 24)
        for term, df in {**freedom, "first × second": 2}.items()
    }
    least = min(raw, key=lambda term: raw[term])
    assert found.loc[least, "p"] == pytest.approx(3 * raw[least])


def test_unlike_numbers_of_seeds_are_weighed_by_least_squares():
    """What an axis adds to the other: all, of additive data without noise, whatever the seeds."""
    height = {"x": 0.0, "y": 0.7, "p": 0.0, "q": 0.4}
    seeds = {("x", "p"): 5, ("x", "q"): 1, ("y", "p"): 2, ("y", "q"): 3}
    losses = {
        (a, b, s): 0.2 * math.exp(height[a] + height[b])
        for (a, b), n in seeds.items()
        for s in range(n)
    }
    found = of(("first", "second"), losses)
    assert found.loc["first × second", "share"] == pytest.approx(0, abs=1e-12)
    assert found.loc[REST, "share"] == pytest.approx(0, abs=1e-12)
    # 5 + 1 seeds against 2 + 3: adding "first" removes the harmonic weights' sum of 0.7^2
    weights = [5 * 2 / 7, 1 * 3 / 4]
    values = np.log(list(losses.values()))
    whole = ((values - values.mean()) ** 2).sum()
    assert found.loc["first", "share"] == pytest.approx(sum(weights) * 0.49 / whole)


def test_one_seed_has_no_p_and_no_interaction():
    found = of(("first", "second"), drawn("xyz", "pq", 1))
    assert list(found.index) == ["first", "second", REST]
    assert found["p"].isna().all()


def test_a_combination_that_is_missing_takes_no_term_with_it():
    losses = {k: v for k, v in drawn("xy", "pq", 3).items() if k[:2] != ("y", "q")}
    found = of(("first", "second"), losses)
    assert list(found.index) == ["first", "second", REST]
    assert found["p"][:2].notna().all()


@pytest.mark.parametrize(
    "losses",
    [
        {("x", s): 0.5 for s in range(3)},  # one setting
        {(x, s): 0.5 for x in "xy" for s in range(3)},  # nothing differs
        {("x", 0): math.inf, ("y", 0): 0.5},
    ],
)
def test_where_there_is_nothing_to_explain_the_table_is_empty(losses):
    found = of(("network",), losses)
    assert found.empty
    assert list(found.reset_index().columns) == ["term", "share", "freedom", "p"]
