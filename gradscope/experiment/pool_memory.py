"""Whether the system has ended processes for want of memory, as far as it tells."""

from __future__ import annotations

from pathlib import Path

import psutil

from gradscope.components.quantities import memory

#: files with a line ``oom_kill <count>``: of the system, and of the group that this process is in
_COUNTERS = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))
_LIMIT = Path("/sys/fs/cgroup/memory.max")


class Memory:
    """Remembers how often the system had ended a process, and tells whether it did so since."""

    def __init__(self) -> None:
        self.before = _kills()

    def remember(self) -> None:
        """Note how things stand, before a trial begins."""
        self.before = max(self.before, _kills())

    def ran_out(self) -> bool:
        """Whether a process was ended for want of memory since this was last asked."""
        now = _kills()
        ended, self.before = now > self.before, now
        return ended

    def said(self, held: int) -> str:
        """In words, that a trial had too little of it.

        Args:
            held: bytes that its process held when it was last looked at.
        """
        return (
            "out of memory: the system ended its process twice, the second time with no other "
            f"trial running; it held {memory(held)} of {memory(available())} when it was "
            "last looked at. A smaller hidden_size, batch_size or length needs less"
        )


def available() -> int:
    """Bytes of memory that this process may use: the machine's, or its group's where that is less.

    >>> available() > 0
    True
    """
    total = int(psutil.virtual_memory().total)
    try:
        limit = int(_LIMIT.read_text())
    except (OSError, ValueError):  # no such file, or "max"
        return total
    return min(total, limit)


def _kills() -> int:
    """How often the system says that it has ended a process; 0 where it says nothing."""
    count = 0
    for path in _COUNTERS:
        try:
            lines = path.read_text().splitlines()
        except OSError:
            continue
        count += sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
    return count
