"""Files that are whole or not there: written under a temporary name, fsynced, and put in place."""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import re
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

import psutil

from gradscope.errors import StorageError

#: seconds after which a temporary file of a writer that cannot be asked after is taken for left
_ABANDONED = 86_400.0


def write_atomically(path: Path, content: bytes) -> None:
    """Put a file in place: a reader sees the old one or the new one, whole.

    Raises:
        StorageError: if it cannot be written; nothing of it stays then.
    """
    temporary = temporary_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise StorageError.of(path, error) from None


def temporary_name(path: Path) -> Path:
    """A name beside a file, which says who writes it."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.{_place()}-{os.getpid()}.tmp")


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder outlast a loss of power, where the system can do that."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # a system that opens no folders
        return
    try:
        with contextlib.suppress(OSError):  # or one that cannot sync them
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_temporaries(folder: Path) -> None:
    """Remove the temporary files of writers that are no longer alive.

    Of a writer on another host, or among other process numbers, that cannot be known: its files are
    removed when they have not been touched for a day.
    """
    for path in folder.rglob(".*.tmp"):
        place, _, pid = path.name.removesuffix(".tmp").rpartition(".")[2].rpartition("-")
        if not pid.isdigit():
            continue
        with contextlib.suppress(FileNotFoundError):
            if place == _place():
                abandoned = not _writes(int(pid), path)
            else:
                abandoned = time.time() - path.stat().st_mtime > _ABANDONED
            if abandoned:
                path.unlink()


def remove_own_temporaries(folder: Path) -> None:
    """Remove the temporary files of this process, which ends in the midst of writing."""
    for path in folder.rglob(f".*.{_place()}-{os.getpid()}.tmp"):
        with contextlib.suppress(OSError):
            path.unlink()


def strict_json(content: object) -> str:
    """JSON in which a number that is not finite is null, as JSON has none such.

    >>> strict_json([1.0, float("nan")])
    '[\\n 1.0,\\n null\\n]'
    """
    return json.dumps(_finite(content), indent=1, allow_nan=False)


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _place() -> str:
    """Where a process number names one process: this machine, and the numbering within it."""
    numbering = ""
    with contextlib.suppress(OSError):  # not every system has several
        numbering = os.readlink("/proc/self/ns/pid")
    return re.sub(r"[^A-Za-z0-9]", "_", f"{platform.node()[:40]}{numbering.removeprefix('pid:')}")


def _writes(pid: int, path: Path) -> bool:
    """Whether the process that began a file is still there.

    A process that was killed and not yet waited for is not, nor is one that has since been given
    the same number.
    """
    try:
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return False
        return process.create_time() <= path.stat().st_mtime + 1
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False
    except psutil.AccessDenied:
        return True
