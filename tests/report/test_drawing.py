"""Work in several processes: the same results, in order, whatever becomes of the processes."""

import os

import pytest

from gradscope.report import drawing
from gradscope.report.drawing import in_parallel


@pytest.fixture
def forking(monkeypatch):
    """As if this were the command line on a machine of two cores."""
    monkeypatch.setattr(drawing, "_may_fork", lambda: True)
    monkeypatch.setattr(drawing, "_cores", lambda: 2)


def test_results_come_in_order_and_from_other_processes(forking):
    results = in_parallel(lambda place: (place, os.getpid()), 5)
    assert [place for place, _ in results] == list(range(5))
    assert os.getpid() not in {process for _, process in results}


def test_where_a_process_dies_the_work_is_done_here(forking):
    here = os.getpid()

    def work(place: int) -> int:
        if os.getpid() != here:
            os._exit(9)
        return place**2

    assert in_parallel(work, 4) == [0, 1, 4, 9]


def test_an_error_is_passed_on(forking):
    with pytest.raises(ZeroDivisionError):
        in_parallel(lambda place: 1 // place, 3)
    assert in_parallel(lambda place: place, 2) == [0, 1]


def test_beside_another_thread_nothing_is_forked(monkeypatch):
    monkeypatch.setattr(drawing, "_cores", lambda: 2)
    monkeypatch.setattr(drawing.threading, "active_count", lambda: 2)
    assert set(in_parallel(lambda _: os.getpid(), 3)) == {os.getpid()}
