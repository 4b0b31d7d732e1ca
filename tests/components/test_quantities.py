"""Times and amounts of memory in words."""

import pytest

from gradscope.components.quantities import clock, duration, memory


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.01, "1 s"), (89.0, "89 s"), (180.0, "3 min"), (5399.0, "90 min"), (7200.0, "2.0 h"),
        (47 * 3600.0, "47.0 h"), (1e10, "115,741 days"),
    ],
)  # fmt: skip
def test_durations(seconds, said):
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 MiB"), (2**30 - 1, "1024 MiB"), (2**30, "1.0 GiB"), (3 * 2**40, "3.0 TiB"),
        (2**59, "512.0 PiB"), (2**60, "1.0 EiB"), (10**40, "more than 1,000 EiB"),
    ],
)  # fmt: skip
def test_memory(count, said):
    assert memory(count) == said


def test_clock():
    assert [clock(seconds) for seconds in (0, 0.4, 59.2, 3600, 36_000)] == [
        "0:00", "0:01", "1:00", "1:00:00", "10:00:00",
    ]  # fmt: skip
