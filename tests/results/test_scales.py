"""Scales: one way to summarise a quantity and to compare it."""

import math

import pytest

from gradscope.results import statistics
from gradscope.results.scales import Sample, Scale

LOSSES = Sample({0: 0.1, 1: 0.4, 2: math.nan})
STEPS = Sample({0: 100.0, 1: math.inf, 2: 300.0}, {0: 500.0, 1: 500.0, 2: 500.0})


@pytest.mark.parametrize(
    ("scale", "sample", "centre"),
    [
        (Scale.MEAN, LOSSES, 0.25),
        (Scale.FRACTION, LOSSES, 0.25),
        (Scale.GEOMETRIC, LOSSES, 0.2),
        (Scale.DURATION, STEPS, 300.0),
        (Scale.SHARE, Sample({0: 1.0, 1: 0.0}), 0.5),
        (Scale.COUNT, Sample({0: 1.0, 1: 0.0, 2: 1.0}), 2.0),
        (Scale.FACT, Sample({0: 5.0, 1: 5.0}), 5.0),
    ],
)
def test_the_centre(scale, sample, centre):
    assert scale.estimate(sample).centre == pytest.approx(centre)


def test_the_centre_of_plain_values():
    assert Scale.GEOMETRIC.centre([1.0, 100.0]) == pytest.approx(10.0)
    assert Scale.MEAN.centre([-math.inf, 1.0, 2.0]) == 1.0


def test_a_fraction_has_its_interval_between_0_and_1():
    found = Scale.FRACTION.estimate(Sample({0: 0.02, 1: 0.9}))
    assert (found.low, found.high) == (0.0, 1.0)
    assert not Scale.FRACTION.estimate(Sample({0: 0.5})).bounded


def test_the_level_is_that_of_order_statistics_for_durations_alone():
    assert Scale.DURATION.level(3) == 0.75
    assert Scale.DURATION.level(1) == Scale.MEAN.level(3) == statistics.LEVEL
    assert Scale.DURATION.estimate(STEPS).level == 0.75


def test_what_is_compared():
    assert Scale.GEOMETRIC.comparable(LOSSES, 0) == pytest.approx(math.log(0.1))
    assert Scale.MEAN.comparable(LOSSES, 0) == 0.1
    assert Scale.DURATION.comparable(STEPS, 1) == 500.0
    assert Scale.DURATION.comparable(STEPS, 2, bound=200.0) == 200.0
    assert Scale.GEOMETRIC.comparable(Sample({0: 0.0}), 0) == -math.inf


def test_what_has_an_interval_and_what_is_a_ratio():
    assert {scale for scale in Scale if not scale.has_interval} == {Scale.COUNT, Scale.FACT}
    assert {scale for scale in Scale if scale.is_ratio} == {Scale.GEOMETRIC}


def test_seeds_whose_value_is_known():
    assert LOSSES.seeds == [0, 1]
    assert STEPS.seeds == [0, 1, 2]
    assert (STEPS.bound(1), LOSSES.bound(1)) == (500.0, math.inf)
