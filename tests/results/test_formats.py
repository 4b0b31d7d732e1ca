"""Numbers in print."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradscope.results.formats import factor, listed, number, share


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
        (999999, "999999"),
        (1e-9, "1e−09"),
        (0.0, "0"),
    ],
)
def test_numbers_in_print(value, text):
    assert number(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_in_print_is_right_to_three_digits(value):
    assert float(number(value).replace("−", "-")) == pytest.approx(value, rel=5.1e-3)


def test_shares():
    assert [share(value) for value in (0.0, 0.126, 1.0, math.nan)] == ["0%", "13%", "100%", "–"]


def test_factors():
    assert factor(-900) == "10⁻³⁹¹"
    assert factor(math.log(0.5)) == "0.5"
    assert factor(-math.inf) == "0"
    assert factor(math.inf) == "∞"
    assert factor(0.0) == "1"
    assert factor(math.log(1e5)) == "10⁵"


def test_long_lists_are_cut_short_with_their_count():
    assert listed(["a", "b"]) == "a, b"
    assert listed([]) == ""
    assert listed([str(i) for i in range(12)]).endswith("10, 11")
    assert listed([str(i) for i in range(30)]) == ", ".join(map(str, range(10))) + " and 20 more"
    assert listed(["a", "b", "c", "d"], most=3) == "a and 3 more"
