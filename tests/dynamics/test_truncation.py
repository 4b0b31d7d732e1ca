"""The windows of truncated BPTT."""

from hypothesis import given
from hypothesis import strategies as st

from gradscope.dynamics import windows


def test_chunks_keep_the_fraction_one_minus_lag_over_length():
    """Of the pairs (t, k) at a lag, chunked truncation keeps 1 - lag / K, exactly, where K divides
    T.
    """
    time, length = 24, 6
    for lag in range(length):
        kept = sum(
            1
            for start, stop, scored in windows(time, length, length)
            for t in range(scored + 1, stop + 1)
            if t - lag > start
        )
        assert kept == time * (length - lag) / length


def test_ragged_ends():
    """The last chunk is shorter; a window that overlaps reaches back its full length; a length of T
    or more is full BPTT.
    """
    assert windows(23, 10, 10)[-1] == (20, 23, 20)
    assert windows(23, 7, 5)[-1] == (16, 23, 20)
    assert all(start == 0 for start, _, _ in windows(23, 23, 5))


def test_sliding_windows_reach_back_exactly_length_steps():
    for start, stop, scored in windows(20, 5, 1):
        assert stop - scored == 1
        assert stop - start == min(5, stop)


@given(time=st.integers(1, 40), length=st.integers(1, 50), data=st.data())
def test_every_loss_is_sent_back_once_and_no_further_than_length(time, length, data):
    stride = data.draw(st.integers(1, length))
    scored = []
    for start, stop, scored_from in windows(time, length, stride):
        assert 0 <= start <= scored_from < stop <= time
        assert stop - start <= length
        scored += range(scored_from, stop)
    assert scored == list(range(time))
