"""A whole run's tables in one file each, so that a run of thousands of trials is read in seconds.

    gathered/<table>.parquet   the shards of all trials, one after the other
    gathered/index.json        what they were made of, and their checksums

They repeat what the shards say and can be deleted at any time. They hold as long as no file of a
trial has another size or time of change than when they were made; after that, and where they are
not as they were written, the shards are read.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gradscope.components.identity import sha256
from gradscope.errors import DamagedError, GradscopeError
from gradscope.results.files import write_atomically
from gradscope.results.ledger import FileEntry
from gradscope.results.reading import Reading
from gradscope.results.records import PARTS, RunDirectory
from gradscope.results.seals import sealed, unsealed
from gradscope.results.shards import file_of

_FOLDER, _INDEX = "gathered", "index.json"
#: trials of a run from which on its tables are gathered
MANY = 200


@dataclass(frozen=True)
class Gathered:
    """Tables that hold for the trials and files that a run has now.

    Attributes:
        folder: that they are in.
        tables: name to the size and checksum of its file.
    """

    folder: Path
    tables: Mapping[str, FileEntry]

    def table(self, name: str) -> pa.Table | None:
        """A table; None where its file is not as it was written."""
        try:
            content = (self.folder / f"{name}.parquet").read_bytes()
            if FileEntry.of(content) != self.tables[name]:
                return None
            return pq.read_table(pa.BufferReader(content))
        except (OSError, pa.ArrowException):
            return None


def gathered(run: RunDirectory, trials: Sequence[str]) -> Gathered | None:
    """The tables of these trials, where they are gathered and nothing has changed since."""
    folder = run.path / _FOLDER
    try:
        index = unsealed(folder / _INDEX)
        if index["of"] != _state(run, trials):
            return None
        found = index["tables"]
        if not isinstance(found, dict):
            return None
        return Gathered(folder, {name: FileEntry(*entry) for name, entry in found.items()})
    except (OSError, DamagedError, KeyError, TypeError):
        return None


def gather(run: RunDirectory) -> None:
    """Gather the tables of a run that has many trials and lacks none.

    Where one cannot be read or written, nothing is gathered, and who reads the run is told.

    Raises:
        RunDirectoryError: if the directory is no run's.
    """
    trials = [trial.id for trial in run.manifest().trials]
    if len(trials) < MANY or not run.done().issuperset(trials) or gathered(run, trials):
        return
    folder, state, tables = run.path / _FOLDER, _state(run, trials), dict[str, FileEntry]()
    with contextlib.suppress(GradscopeError, OSError):
        reading = Reading(run, trials)
        for path in folder.glob("*.parquet"):
            path.unlink(missing_ok=True)
        for name in reading.names:
            content = file_of(reading.table(name))
            write_atomically(folder / f"{name}.parquet", content)
            tables[name] = FileEntry.of(content)
        write_atomically(folder / _INDEX, sealed({"of": state, "tables": tables}))


def _state(run: RunDirectory, trials: Sequence[str]) -> str:
    """A digest of the trials, and of the names, sizes and times of change of all their files."""
    return sha256([list(trials), sorted(_files(run))])


def _files(run: RunDirectory) -> Iterator[tuple[str, int, int]]:
    folders = [run.path / part for part in PARTS if part not in ("tables", "weights", "failures")]
    folders += (run.path / "tables").glob("*")
    for folder in folders:
        with os.scandir(folder) as entries:
            for entry in entries:
                about = entry.stat()
                yield f"{folder.name}/{entry.name}", about.st_size, about.st_mtime_ns
