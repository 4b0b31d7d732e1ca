"""The tables of a run, each read when it is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

import pyarrow as pa

from gradscope.results.ledger import Ledger
from gradscope.results.records import RunDirectory, seconds_of
from gradscope.results.shards import joined, rows

#: bytes of a shard under which threads cost more than they save
_SMALL = 2**17


class Reading:
    """What some trials recorded; every ledger is read once, and every table when it is needed.

    Attributes:
        run: the directory.
        names: of the tables of which a trial has a part, in alphabetical order.

    Raises:
        DamagedError: for a ledger that is not as it was written; the message names it.
    """

    def __init__(self, run: RunDirectory, trials: Iterable[str]):
        self.run = run
        self._shards: dict[str, list[tuple[Ledger | None, str]]] = {}
        self._seconds: list[tuple[str, Ledger | None, str]] = []
        for trial, ledger, names in run.files(trials):
            for name in names:
                folder, *rest = PurePosixPath(name).parts
                if folder == "tables":
                    self._shards.setdefault(rest[0], []).append((ledger, name))
                elif folder == "timing":
                    self._seconds.append((trial, ledger, name))
        self.names = sorted(self._shards)

    def table(self, name: str) -> pa.Table:
        """The shards of a table, in the trials' order.

        Raises:
            DamagedError: for a shard that is not as it was written, or that no ledger knows.
            RunDirectoryError: for shards that do not go together.
        """
        shards = self._shards[name]
        if self._size(shards[0][1]) < _SMALL:
            found = list(map(self._part, shards))
        else:
            with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
                found = list(threads.map(self._part, shards))
        parts = [part for part in found if part is not None]
        return joined(parts, self.run.path / "tables" / name)

    def size(self, name: str) -> int:
        """Bytes that the shards of a table take on disk."""
        return sum(self._size(shard) for _, shard in self._shards[name])

    def _size(self, name: str) -> int:
        """Bytes of a file; 0 where it is gone, as reading it will tell."""
        path = self.run.path / name
        return path.stat().st_size if path.is_file() else 0

    def _part(self, shard: tuple[Ledger | None, str]) -> pa.Table | None:
        ledger, name = shard
        content = self.run.as_written(ledger, name)
        return None if content is None else rows(content, self.run.path / name)

    def seconds(self) -> dict[str, dict[str, float]]:
        """Trial to where its time went.

        Raises:
            DamagedError: for a file that is not as it was written.
        """
        found = {}
        for trial, ledger, name in self._seconds:
            if (content := self.run.as_written(ledger, name)) is not None:
                found[trial] = seconds_of(content, self.run.path / name)
        return found
