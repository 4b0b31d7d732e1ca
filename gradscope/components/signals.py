"""How a process takes signals, for as long as something lasts."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

#: what ``signal.signal`` takes
Handler = Callable[[int, FrameType | None], object] | int


@contextmanager
def taken(number: signal.Signals, handler: Handler) -> Iterator[None]:
    """A context in which a signal is taken so, and as before from then on.

        with taken(signal.SIGTERM, signal.default_int_handler):
            ...  # SIGTERM ends this as Ctrl-C does

    Python lets the main thread alone decide that: in any other thread nothing changes.

    Args:
        number: the signal.
        handler: what is called when it comes, or ``signal.SIG_IGN``. Processes that are started
            meanwhile ignore what is ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)
