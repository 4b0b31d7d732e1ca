"""Work that is done in several processes where that is safe, as drawing a page's figures is."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar, cast

T = TypeVar("T")

#: the work of the processes that are forked while it is set
_WORK: list[Callable[[int], object]] = []


def in_parallel(work: Callable[[int], T], count: int) -> list[T]:
    """``work(0)``, ``work(1)``, ..., in as many processes as there are free cores.

    They are forks of this one, so the work itself needs no pickling, only what it returns; what it
    changes in memory is lost. Where forking is not safe, as in a notebook, beside other threads or
    on macOS, or where a fork dies, the work is done here.

    Args:
        work: what is done with each number.
        count: of them.
    """
    processes = min(_cores(), count)
    if processes > 1 and _may_fork():
        _WORK.append(work)
        try:
            forks = ProcessPoolExecutor(processes, get_context("fork"), _begin)
            with forks:
                return cast("list[T]", list(forks.map(_one, range(count))))
        except BrokenProcessPool:
            pass
        finally:
            _WORK.pop()
    return [work(place) for place in range(count)]


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def _may_fork() -> bool:
    """Whether a fork of this process can work: it has one thread, and is no notebook's kernel."""
    alone = threading.active_count() == 1 and not _WORK
    return sys.platform == "linux" and alone and "ipykernel" not in sys.modules


def _begin() -> None:
    """Ctrl-C is for the process that waits for this one; what it made is not looked through here.

    So it stays in the memory that both share.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()


def _one(place: int) -> object:
    return _WORK[-1](place)
