"""A lock on a run directory, so that two runs do not write to it at once.

    with locked(run.path):
        ...  # a second run of this directory is refused, whoever begins it, wherever

The lock is a file that says who has it. It is made by a hard link, which one of several makers
alone can make on a network file system too, and its owner touches it every few seconds. A lock is
taken over if its owner is known to have died, or has not touched it for a minute by the clock of
the file system itself.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil

from gradscope.errors import RunDirectoryError, StorageError
from gradscope.results.files import temporary_name

#: the lock's name in a run directory
NAME = "lock.json"
#: seconds between two touches, and without any before a lock is taken over
_BEAT, _STALE = 5.0, 60.0


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a directory, which is made if it is not there.

    Raises:
        RunDirectoryError: if another run holds it; the message says which.
        StorageError: if the directory cannot be written to.
    """
    lock, me = folder / NAME, _owner()
    _acquire(lock, me)
    stop = threading.Event()
    beat = threading.Thread(target=_keep, args=(lock, me, stop), daemon=True)
    beat.start()
    try:
        yield
    finally:
        stop.set()
        beat.join()
        with contextlib.suppress(OSError):
            if _holder(lock) == me:
                lock.unlink()


def _owner() -> dict[str, object]:
    """Who wants the lock: enough to tell whether it lives, and to find it."""
    process = psutil.Process()
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user that the system has no name for
        user = str(os.getuid())
    return {
        "host": platform.node(),
        "system": _system(),
        "pid": process.pid,
        "began": process.create_time(),
        "user": user,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "key": uuid.uuid4().hex,
    }


def _system() -> str:
    """The machine's boot and the set of process numbers: where equal, a pid names one process."""
    parts = []
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts) or platform.node()


def _acquire(lock: Path, me: dict[str, object]) -> None:
    """Make the lock, in the place of one whose owner is gone if need be."""
    mine = temporary_name(lock)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        mine.write_text(json.dumps(me))
        try:
            for _ in range(3):
                if _linked(mine, lock):
                    return
                holder = _holder(lock)
                if holder is None:  # given back meanwhile
                    continue
                if not _is_abandoned(lock, holder, mine):
                    raise RunDirectoryError(_in_use(lock, holder))
                _remove(lock, holder)
            raise RunDirectoryError(f"{lock.parent}: several runs want it at once; try again")
        finally:
            mine.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError.of(lock.parent, error) from None


def _linked(mine: Path, lock: Path) -> bool:
    """Whether this maker's file became the lock."""
    try:
        os.link(mine, lock)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links has this instead
        try:
            descriptor = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return False
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(mine.read_bytes())
    return True


def _holder(lock: Path) -> dict[str, object] | None:
    """What the lock says of its owner; None if there is no lock."""
    try:
        content = json.loads(lock.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_abandoned(lock: Path, holder: dict[str, object], mine: Path) -> bool:
    """Whether a lock's owner is gone.

    Args:
        lock: the file.
        holder: what it says.
        mine: a file that this process writes beside it, to read the file system's clock from.
    """
    lives = _lives(holder)
    if lives is not None:
        return not lives
    os.utime(mine)
    try:
        return mine.stat().st_mtime - lock.stat().st_mtime > _STALE
    except FileNotFoundError:
        return True


def _lives(holder: dict[str, object]) -> bool | None:
    """Whether a lock's owner is a process that is there; None if that cannot be seen from here."""
    pid, began = holder.get("pid"), holder.get("began")
    if (
        holder.get("system") != _system()
        or not isinstance(pid, int)
        or not isinstance(began, float)
    ):
        return None
    try:
        process = psutil.Process(pid)
        alive = process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        return alive and abs(process.create_time() - began) < 1
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _remove(lock: Path, holder: dict[str, object]) -> None:
    """Take an abandoned lock away, unless another has done so and made its own meanwhile."""
    aside = temporary_name(lock)
    try:
        os.rename(lock, aside)
    except FileNotFoundError:
        return
    if _holder(aside) != holder:  # it was another's by then: give it back
        with contextlib.suppress(FileExistsError):
            os.link(aside, lock)
    aside.unlink(missing_ok=True)


def _in_use(lock: Path, holder: dict[str, object]) -> str:
    return (
        f"{lock.parent}: is in use by another run ({_who(holder)}); wait for it, or give another "
        "directory with --out"
    )


def _who(holder: dict[str, object]) -> str:
    pid, user, host, since = (holder.get(key, "?") for key in ("pid", "user", "host", "since"))
    return f"process {pid} of {user} on {host}, since {since}"


class Watch:
    """Whether a run directory is held, for one who reads it alone: nothing is written.

    The owner of a lock on this machine is asked after. One elsewhere is taken to live until its
    lock has not been touched for a minute by this process's clock.

    Args:
        folder: the run directory.
    """

    def __init__(self, folder: Path):
        self._lock = folder / NAME
        self._touched, self._seen = 0, 0.0

    def owner(self) -> str:
        """Who holds it, in words: process, user, machine and since when; "" if nobody does."""
        holder = _holder(self._lock)
        if holder is None:
            return ""
        lives = _lives(holder)
        if lives is None:
            lives = self._is_touched()
        return _who(holder) if lives else ""

    def _is_touched(self) -> bool:
        """Whether the lock has been touched lately, as far as has been seen."""
        try:
            touched = self._lock.stat().st_mtime_ns
        except OSError:
            return False
        now = time.monotonic()
        if touched != self._touched:
            self._touched, self._seen = touched, now
        return now - self._seen <= _STALE


def _keep(lock: Path, me: dict[str, object], stop: threading.Event) -> None:
    """Touch the lock again and again; make it anew if its folder was lost and is there again."""
    while not stop.wait(_BEAT):
        with contextlib.suppress(OSError):
            if lock.exists():
                os.utime(lock)
            elif lock.parent.is_dir():
                lock.write_text(json.dumps(me))
