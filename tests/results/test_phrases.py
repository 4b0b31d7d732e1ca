"""Comparisons and contests in words."""

import math

import pytest

from gradscope.results import phrases
from gradscope.results.comparisons import compare
from gradscope.results.contests import contests
from gradscope.results.scales import Sample, Scale
from gradscope.results.yardstick import yardstick
from tests.results.conftest import swept


def sample(*values, bound=None):
    bounds = {} if bound is None else dict.fromkeys(range(len(values)), float(bound))
    return Sample(dict(enumerate(map(float, values))), bounds)


@pytest.mark.parametrize(
    ("scale", "first", "second", "said"),
    [
        (Scale.GEOMETRIC, sample(1, 1), sample(2, 2), "×0.5"),
        (Scale.MEAN, sample(3), sample(1), "+2"),
        (Scale.MEAN, sample(1), sample(3), "−2"),
        (Scale.DURATION, sample(3, bound=9), sample(math.inf, bound=9), "at most −6"),
        (Scale.DURATION, sample(math.inf, bound=9), sample(3, bound=9), "at least +6"),
        (Scale.DURATION, sample(math.inf, bound=9), sample(math.inf, bound=9), "0"),
    ],
)
def test_an_effect(scale, first, second, said):
    assert phrases.effect(compare(scale, first, second)) == said


def test_evidence_says_interval_seeds_and_p():
    found = compare(Scale.MEAN, sample(1, 2, 4), sample(2, 4, 5))
    assert phrases.evidence(found, found.p) == "−2.77 to 0.101; 3 paired seeds; p = 0.057"
    assert phrases.evidence(found, 0.5, 3, mirrored=True) == (
        "−0.101 to 2.77; 3 paired seeds; p = 0.5 over 3 pairs"
    )
    assert phrases.evidence(compare(Scale.MEAN, sample(1), sample(2))) == "one seed"
    same = compare(Scale.MEAN, sample(1, 2), sample(1, 2))
    assert phrases.evidence(same, same.p) == "no interval; 2 paired seeds; p = 1"
    apart = compare(Scale.MEAN, sample(1, 2), Sample({7: 1.0, 8: 2.0, 9: 3.0}))
    assert "2 and 3 seeds, not paired" in phrases.evidence(apart)


def said_of(losses, steps=None, axes=("my_cell",)):
    tables = swept(axes, losses, steps)
    judged = yardstick(tables)
    return [phrases.contest(found, judged) for found in contests(tables, judged)]


def test_a_contest_that_is_decided():
    losses = {(x, s): 0.05 for x in "ab" for s in range(3)}
    steps = {(x, s): (100 if x == "a" else 300) + 7 * s * (x == "b") for x, s in losses}
    assert said_of(losses, steps) == [
        "My cell: a did best. It needs 207 updates fewer than b (190 to 224; 3 paired seeds; "
        "p < 0.001)."
    ]


def test_a_contest_that_is_not():
    losses = {("a", 0): 0.5, ("a", 1): 0.6, ("b", 0): 0.62, ("b", 1): 0.61}
    (said,) = said_of(losses)
    assert said.startswith("My cell: no evidence of a difference. a came first: it has ×0.891 the ")
    assert "test loss of b (0.252 to 3.14; 2 paired seeds; p = 0.45)." in said


def test_a_contest_of_several_names_the_others():
    losses = {(x, s): 0.05 for x in "abc" for s in range(3)} | {("d", s): 0.5 for s in range(3)}
    base = {"a": 100, "b": 104, "c": 600, "d": 0}
    steps = {(x, s): base[x] + (3 * s, 5 * (s == 1), -6 * s, 0)["abcd".index(x)] for x, s in losses}
    (said,) = said_of(losses, steps)
    assert "My cell: no evidence which is best. a came first: it needs " in said
    assert "over 6 pairs). It is ahead beyond chance of c (491 fewer, p " in said
    assert "d (at least 1397 fewer, p < 0.001)." in said


def test_a_contest_of_one_seed():
    assert said_of({("a", 0): 0.5, ("b", 0): 1.0, ("c", 0): 2.0}) == [
        "My cell: one seed is no evidence of a difference. a has ×0.5 the test loss of b (one "
        "seed). No evidence against c (×0.25)."
    ]
    (said,) = said_of({("a", 0): 0.5, ("b", 0): 0.9, ("b", 1): 0.9})
    assert said.startswith("My cell: a setting of one seed is no evidence of a difference.")


def test_a_tie():
    assert said_of({(x, s): 0.05 for x in "ab" for s in range(3)}) == [
        "My cell: no evidence of a difference. a needs 0 updates fewer than b (no interval; "
        "3 paired seeds; p = 1)."
    ]


def test_a_hundred_settings_are_told_in_a_few_lines():
    (said,) = said_of({(f"setting {n}", s): 0.5 + n + s / 99 for n in range(100) for s in range(3)})
    assert len(said) < 700
