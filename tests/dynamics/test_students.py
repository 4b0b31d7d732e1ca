"""Mixtures of Student's t: the distribution function by scipy's, and ends of many at once."""

import numpy as np
import pytest
from scipy import special

from gradscope.dynamics.students import ENDS, Students, crossings, student

RNG = np.random.default_rng(0)
#: two mixtures, of three components and of one
PAIR = Students(
    np.array([0.5, 0.3, 0.2, 1.0]),
    np.array([-1.0, 0.0, 4.0, 7.0]),
    np.array([0.5, 2.0, 0.1, 3.0]),
    np.array([3, 1]),
    6,
)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 30, 199, 200, 201])
def test_the_finite_sum_is_the_distribution_function(freedom):
    at = np.r_[0, 5 * RNG.standard_normal(200), 1e6, -1e6]
    assert student(freedom, at) == pytest.approx(special.stdtr(freedom, at), abs=2e-14)


def test_each_mixture_is_its_own_weighted_sum():
    values = np.array([[0.5, 2.0], [-3.0, 8.0]])
    shares = special.stdtr(6, (PAIR.each(values) - PAIR.means[:, None]) / PAIR.scales[:, None])
    assert PAIR.below(PAIR.each(values)) == pytest.approx(
        np.stack([PAIR.weights[:3] @ shares[:3], shares[3]])
    )


def test_ends_of_an_interval_are_quantiles():
    found = PAIR.intervals()
    assert PAIR.below(PAIR.each(found)) == pytest.approx(np.stack([ENDS, ENDS]), abs=1e-5)
    low, high = 7 + 3 * special.stdtrit(6, ENDS)
    assert found[1] == pytest.approx((low, high), abs=1e-5)


def test_what_is_chosen_keeps_its_mixture():
    fewer = PAIR.of(np.array([True, False, True, True]))
    assert fewer.sizes.tolist() == [2, 1]
    assert fewer.means.tolist() == [-1, 4, 7]


def test_crossings_of_steep_and_flat_functions_are_found_at_once():
    """A step, a line, a cubic, and one that is 0 at its lower end."""
    steep = np.array([1e9, 1.0, 0.0, 1.0])
    cubic = np.array([0.0, 0.0, 1.0, 0.0])
    truth = np.array([0.3, -0.7, 0.123, -1.0])

    def rising(at):
        return np.tanh(steep * (at - truth)) + cubic * (at - truth) ** 3

    found = crossings(rising, np.full(4, -1.0), np.full(4, 1.0), 1e-8)
    assert found == pytest.approx(truth, abs=1e-7)
