"""A whole run's tables in one file each, so that a run of thousands of trials is read in seconds.

    gathered/<table>.parquet   the shards of all recorded trials, one after the other
    gathered/index.json        what they were made of, their checksums, and the trials' seconds

They repeat what the trials' files say and can be deleted at any time. They are made of shards that
passed their checksums and have checksums of their own, so that what is computed from them is
computed from what was written. That they are up to date is known from the names, sizes and times of
change of all files of trials: while those are what they were, the files are taken to be. After
that, and where a gathered file is not as it was written, the trials' own files are read. To read
them all against their checksums is for ``damage``.

A table whose shards are large stays in them: there is little to gain, and it may not fit memory.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Annotated

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, ValidationError

from gradscope.components.identity import sha256
from gradscope.errors import DamagedError, GradscopeError
from gradscope.results.files import write_atomically
from gradscope.results.ledger import FileEntry
from gradscope.results.manifest import Part, first_problem
from gradscope.results.reading import Reading
from gradscope.results.records import PARTS, RunDirectory
from gradscope.results.seals import sealed, unsealed
from gradscope.results.shards import file_of

_FOLDER, _INDEX = "gathered", "index.json"
#: trials of a run from which on its tables are gathered
MANY = 200
#: bytes of a table's shards up to which it is gathered
_MOST = 2**28

#: of a table, which is part of a path
_Name = Annotated[str, Field(pattern=r"^\w+$")]


class Gathered(Part):
    """What was gathered of a run, as its index says it.

    Attributes:
        of: a digest of the trials and files that it was made of.
        names: of all tables that the trials have.
        tables: those that are gathered, with the size and checksum of each file.
        seconds: trial to where its time went.
    """

    of: str
    names: list[_Name]
    tables: dict[_Name, FileEntry]
    seconds: dict[str, dict[str, float]]

    @classmethod
    def read(cls, run: RunDirectory) -> Gathered:
        """What the index says, whether it still holds or not.

        Raises:
            FileNotFoundError: if there is none.
            DamagedError: if it is not as it was written.
        """
        path = run.path / _FOLDER / _INDEX
        try:
            return cls.model_validate(unsealed(path))
        except ValidationError as error:
            raise DamagedError.of(path, first_problem(error)) from None

    def table(self, run: RunDirectory, name: str) -> pa.Table | None:
        """A table; None where it is not gathered, or its file is not as it was written."""
        try:
            content = (run.path / _FOLDER / f"{name}.parquet").read_bytes()
            if FileEntry.of(content) != self.tables[name]:
                return None
            return pq.read_table(pa.BufferReader(content))
        except (OSError, KeyError, pa.ArrowException):
            return None


def gathered(run: RunDirectory, trials: Sequence[str]) -> Gathered | None:
    """What is gathered of these trials, where nothing has changed since."""
    try:
        found = Gathered.read(run)
        return found if found.of == _state(run, trials) else None
    except (OSError, DamagedError):
        return None


def gather(run: RunDirectory) -> None:
    """Gather the tables of a run that has recorded many trials and lacks none but failed ones.

    Where one cannot be read or written, nothing is gathered, and who reads the run is told.

    Raises:
        RunDirectoryError: if the directory is no run's.
    """
    entries, done = run.manifest().trials, run.done()
    trials = [trial.id for trial in entries if trial.id in done]
    if len(trials) < MANY or len(trials) + len(run.failures()) < len(entries):
        return
    if gathered(run, trials):
        return
    folder, tables = run.path / _FOLDER, dict[str, FileEntry]()
    with contextlib.suppress(GradscopeError, OSError):
        state, reading = _state(run, trials), Reading(run, trials)
        for path in (folder / _INDEX, *folder.glob("*.parquet")):  # what is cut off has no index
            path.unlink(missing_ok=True)
        for name in reading.names:
            if reading.size(name) <= _MOST:
                content = file_of(reading.table(name))
                write_atomically(folder / f"{name}.parquet", content)
                tables[name] = FileEntry.of(content)
        index = Gathered(of=state, names=reading.names, tables=tables, seconds=reading.seconds())
        write_atomically(folder / _INDEX, sealed(index.model_dump(mode="json")))


def problems(run: RunDirectory) -> Iterator[tuple[str, str]]:
    """Path and what is wrong with it, of each gathered file that is not as it was written."""
    try:
        tables = Gathered.read(run).tables
    except FileNotFoundError:
        return
    except DamagedError as error:
        yield f"{_FOLDER}/{_INDEX}", error.what
        return
    for name, known in tables.items():
        path = run.path / _FOLDER / f"{name}.parquet"
        try:
            if FileEntry.of(path.read_bytes()) != known:
                yield f"{_FOLDER}/{path.name}", "it is not what its checksum says"
        except FileNotFoundError:  # it may be deleted
            continue
        except OSError as error:
            yield f"{_FOLDER}/{path.name}", error.strerror or str(error)


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
