"""A curve in a line of text."""

import math

from gradscope.experiment.sparkline import Losses, sparkline


def losses_of(values, width=8):
    losses = Losses(width)
    for value in values:
        losses.add(value)
    return losses


def test_factors_are_steps_of_one_height():
    assert losses_of([10.0**-k for k in range(7)]).line() == "▇▆▅▄▃▂▁"


def test_it_is_never_longer_than_its_width_and_shows_all_of_the_past():
    for count in (1, 7, 8, 9, 15, 16, 17, 100, 5000):
        line = losses_of([math.exp(-10 * k / count) for k in range(count)]).line()
        assert len(line) <= 8
        assert list(line) == sorted(line, reverse=True)
        assert count < 8 or (line[0], line[-1]) == ("▇", "▁")


def test_what_is_kept_is_bounded():
    losses = losses_of([1.0] * 100_000)
    assert len(losses._means) < 16


def test_mere_noise_looks_flat():
    line = losses_of([1.0, 1.01, 0.99, 1.0, 1.01]).line()
    assert len(set(line)) == 1


def test_what_has_no_logarithm_stands_at_an_end():
    assert losses_of([1.0, 0.1, 0.0]).line() == "▇▁▁"
    assert losses_of([1.0, 0.1, math.inf]).line() == "▇▁▇"
    assert losses_of([1.0, 0.1, math.nan]).line() == "▇▁▇"
    assert sparkline([]) == ""
    assert losses_of([]).line() == ""
