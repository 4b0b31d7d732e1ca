"""Which outputs are asked."""

import pytest
import torch

from gradscope.errors import GradscopeError
from gradscope.influencing._places import Places, outputs_asked

WHOLE = torch.ones(2, 40, dtype=torch.bool)
#: a sequence padded on the left, and one on the right
PADDED = torch.stack([torch.arange(40) >= 10, torch.arange(40) < 20])


def asked(scored, positions=None, future=False):
    return outputs_asked(scored, positions, future).T.tolist()


def test_twelve_in_the_last_quarter_of_each_sequence():
    for found in asked(torch.ones(2, 400, dtype=torch.bool)):
        assert len(set(found)) == 12
        assert found == sorted(found)
        assert (found[0], found[-1]) == (300, 399)
    assert asked(WHOLE)[0] == list(range(30, 40))  # there are no more
    left, right = asked(PADDED)
    assert (left[0], left[-1]) == (32, 39)
    assert (right[0], right[-1]) == (15, 19)


def test_in_the_middle_half_where_the_future_counts():
    found = asked(WHOLE, future=True)[0]
    assert (found[0], found[-1]) == (10, 29)


@pytest.mark.parametrize(
    ("positions", "left", "right"),
    [
        (1, [39], [19]),
        ([-1], [39], [19]),
        ([0, 19, -2], [10, 29, 38], [0, 19, 18]),
        ([25], [35], [-1]),  # the second has none there
        ([29, 3], [39, 13], [-1, 3]),
    ],
)
def test_places_are_those_of_what_is_no_padding(positions, left, right):
    assert asked(PADDED, positions) == [left, right]


def test_all_of_them():
    left, right = asked(PADDED, "all")
    assert left == list(range(10, 40))
    assert right == [*range(20), *[-1] * 10]


@pytest.mark.parametrize("time", [1, 2, 3, 4])
def test_of_short_sequences_there_is_at_least_one(time):
    for future in (False, True):
        (found,) = asked(torch.ones(1, time, dtype=torch.bool), future=future)
        assert found
        assert all(0 <= place < time for place in found)


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        (0, "positions=0: should be at least 1"),
        ("some", "should be a number, places, or 'all'"),
        ([40], r"should be places in a sequence of 30 outputs, such as \[-1\]"),
        ([-41], "should be places"),
        ([], "should be places"),
    ],
)
def test_what_is_no_place_is_refused(positions, message):
    with pytest.raises(GradscopeError, match=message):
        asked(PADDED, positions)


def test_an_example_of_padding_alone_is_refused():
    with pytest.raises(GradscopeError, match="example 1 has no output"):
        asked(torch.stack([WHOLE[0], ~WHOLE[0]]))


def test_lags_are_counted_without_padding():
    gaps = torch.tensor([[1, 1, 0, 1, 1]]).bool()
    places = Places(gaps, torch.tensor([[4]]), future=False, batch_first=True)
    assert places.lag_of_inputs(places.outputs[0])[gaps].tolist() == [3, 2, 1, 0]
    assert places.lags().tolist() == [0, 1, 2, 3]
    future = Places(gaps, torch.tensor([[1]]), future=True, batch_first=True)
    assert future.lags().tolist() == [-2, -1, 0, 1]
