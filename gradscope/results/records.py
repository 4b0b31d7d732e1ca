"""A run directory on disk: atomic, resumable, readable by others.

    manifest.json                    the experiment, its trials, and the provenance of each part
    tables/<table>/<trial>.parquet   one shard for each trial and table
    weights/<trial>.safetensors      a trial's trained weights, where they are kept
    timing/<trial>.json              seconds, which depend on the machine and so stand apart
    ledger/<trial>.json              the size and SHA-256 of each of the trial's files
    failures/<trial>.json            why a trial failed, other than by divergence
    damaged/<n>/...                  what was not as it was written, set aside
    running.json                     what trains at the moment, while a run is at work
    gathered/<table>.parquet         the shards of many trials once more, to read them faster

A trial counts as done when its ledger, written last, is there. Nothing is computed from bytes that
are not those of the ledger, and the manifest and the ledgers carry checksums of their own. Workers
on any number of machines write trials without a lock; two runs exclude each other (``lock``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
from pydantic import ValidationError

from gradscope.errors import DamagedError, RunDirectoryError
from gradscope.results.columns import Columns
from gradscope.results.files import write_atomically
from gradscope.results.ledger import FileEntry, Ledger
from gradscope.results.manifest import FORMAT, Manifest, first_problem
from gradscope.results.seals import is_sealed, json_object, opened, sealed
from gradscope.results.shards import joined, rows, shard

#: folders of a run directory with files of trials, each named by its trial
PARTS = ("tables", "weights", "timing", "ledger", "failures")


class RunDirectory:
    """A run's directory; opening it for reading checks that it is one."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        #: what tells whether the file is the one that was read, and what it says
        self._manifest: tuple[tuple[int, int, int], Manifest] | None = None

    def __repr__(self) -> str:
        return f"RunDirectory({str(self.path)!r})"

    # --- the manifest ---------------------------------------------------------------------------

    @property
    def manifest_path(self) -> Path:
        """Where the manifest stands."""
        return self.path / "manifest.json"

    def manifest(self) -> Manifest:
        """What the manifest says.

        Raises:
            RunDirectoryError: if the directory is not a run's.
            DamagedError: if its manifest is not as it was written.
        """
        try:
            stat = self.manifest_path.stat()
            key = stat.st_mtime_ns, stat.st_size, stat.st_ino
            if self._manifest is None or self._manifest[0] != key:
                self._manifest = key, self._read_manifest()
            return self._manifest[1]
        except (FileNotFoundError, NotADirectoryError):
            raise RunDirectoryError(f"{self.path}: {self._what_it_is_instead()}") from None
        except OSError as error:
            raise DamagedError.of(self.manifest_path, error.strerror or str(error)) from None

    def _read_manifest(self) -> Manifest:
        try:
            content = json_object(self.manifest_path)
            version = content.get("format")
            if version not in (1, FORMAT):
                raise RunDirectoryError(
                    f"{self.manifest_path}: format {version!r}, this version reads 1 and {FORMAT}"
                )
            if version == FORMAT or is_sealed(content):  # the first format had no checksums
                content = opened(content, self.manifest_path)
            return Manifest.model_validate(content)
        except ValidationError as error:
            raise DamagedError.of(self.manifest_path, first_problem(error)) from None

    def _what_it_is_instead(self) -> str:
        if (self.path / "findings.json").exists():
            return "is the report of a scope, no run; open its index.html"
        what = "holds no manifest.json" if self.path.is_dir() else "does not exist"
        return f"{what}; name a directory that 'gradscope run' has written"

    def write_manifest(self, manifest: Manifest) -> None:
        """Put the manifest in place.

        Raises:
            StorageError: if it cannot be written.
        """
        write_atomically(self.manifest_path, sealed(manifest.model_dump(mode="json")))

    # --- trials ---------------------------------------------------------------------------------

    def done(self) -> set[str]:
        """Ids of the trials that are wholly recorded."""
        with_ledger = {path.stem for path in (self.path / "ledger").glob("*.json")}
        shards = {path.stem for path in (self.path / "tables" / "trials").glob("*.parquet")}
        return with_ledger | self._without_ledger(shards - with_ledger)

    def _without_ledger(self, shards: set[str]) -> set[str]:
        """Those of the trials that the first format recorded."""
        if not shards:
            return shards
        try:
            first = json_object(self.manifest_path).get("format") == 1
        except (FileNotFoundError, DamagedError):
            first = False
        return shards if first else set()

    def ledger(self, trial: str) -> Ledger | None:
        """What was written of a trial; None where the first format recorded it.

        Raises:
            DamagedError: if the ledger is not as it was written.
        """
        try:
            return Ledger.read(self.path / "ledger" / f"{trial}.json")
        except FileNotFoundError:
            return None

    def ledger_is_there(self, trial: str) -> bool:
        """Whether a trial has a ledger, unread."""
        return (self.path / "ledger" / f"{trial}.json").is_file()

    def failures(self) -> dict[str, dict[str, object]]:
        """Trial id to what went wrong, of trials that failed and have not been recorded since."""
        missing = {trial.id for trial in self.manifest().trials} - self.done()
        paths = sorted((self.path / "failures").glob("*.json"))
        return {path.stem: _failure(path) for path in paths if path.stem in missing}

    def write_trial(
        self,
        trial: str,
        tables: Mapping[str, Columns],
        seconds: Mapping[str, float],
        weights: bytes | None = None,
        *,
        settings: str = "",
        together: Sequence[str] = (),
    ) -> None:
        """Put a trial's files in place, its ledger last.

        Args:
            trial: its id.
            tables: name to columns.
            seconds: where its time went.
            weights: the trained weights as safetensors bytes, where they are kept.
            settings: the digest of what decided its outcome.
            together: the trials that began as one program with it.

        Raises:
            StorageError: if one cannot be written; the trial is not recorded then.
        """
        contents = {
            f"tables/{table}/{trial}.parquet": shard(trial, columns)
            for table, columns in tables.items()
        }
        contents[f"timing/{trial}.json"] = json.dumps(dict(seconds), indent=1).encode()
        if weights is not None:
            contents[_weights_name(trial)] = weights
        for name, content in contents.items():
            write_atomically(self.path / name, content)
        for name in self.shards_of(trial):
            if name.as_posix() not in contents:  # of an attempt that was cut off
                (self.path / name).unlink(missing_ok=True)
        files = {name: FileEntry.of(content) for name, content in contents.items()}
        self.write_ledger(
            Ledger(trial=trial, settings=settings, files=files, together=tuple(together))
        )
        (self.path / "failures" / f"{trial}.json").unlink(missing_ok=True)

    def write_ledger(self, ledger: Ledger) -> None:
        """Put a trial's ledger in place, which makes it a recorded one.

        Raises:
            StorageError: if it cannot be written.
        """
        write_atomically(self.path / "ledger" / f"{ledger.trial}.json", ledger.content())

    def checked(self, trial: str, name: str) -> bytes | None:
        """A file of a recorded trial, as it was written; None if the trial has none such.

        Args:
            trial: its id.
            name: the file's path within the run directory.

        Raises:
            DamagedError: if it is not as it was written.
        """
        return self.as_written(self.ledger(trial), name)

    def as_written(self, ledger: Ledger | None, name: str) -> bytes | None:
        """A file, as its trial's ledger says that it was written; None if there is none such.

        Raises:
            DamagedError: if it is not.
        """
        path = self.path / name
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            content = None
        except OSError as error:
            raise DamagedError.of(path, error.strerror or str(error)) from None
        if ledger is not None and (problem := ledger.problem(name, content)):
            raise DamagedError.of(path, problem)
        return content

    def files(self, trials: Iterable[str]) -> Iterator[tuple[str, Ledger | None, list[str]]]:
        """Recorded trial, its ledger, and the names of its files but for weights.

        Files that the ledger does not know are among them: reading them tells. Of the first format
        there are no ledgers.

        Raises:
            DamagedError: for a ledger that is not as it was written.
        """
        done, shards = self.done(), self._shards()
        for trial in trials:
            if trial in done:
                ledger = self.ledger(trial)
                known = ledger.files if ledger else ()
                names = {*shards.get(trial, ()), *known, f"timing/{trial}.json"}
                yield trial, ledger, sorted(names - {_weights_name(trial)})

    def _shards(self) -> dict[str, list[str]]:
        """Trial to the names of its shards, whatever ledgers say."""
        found: dict[str, list[str]] = {}
        for path in self.path.glob("tables/*/*.parquet"):
            found.setdefault(path.stem, []).append(f"tables/{path.parent.name}/{path.name}")
        return found

    def weights(self, trial: str) -> bytes | None:
        """A trial's trained weights as safetensors bytes; None if they were not kept.

        Raises:
            DamagedError: if they are not as they were written.
        """
        return self.checked(trial, _weights_name(trial)) if trial in self.done() else None

    def keeps_weights(self, trial: str) -> bool:
        """Whether a recorded trial's trained weights are there, unread."""
        there = (self.path / _weights_name(trial)).is_file()
        return there and (self.ledger_is_there(trial) or trial in self.done())

    def write_failure(self, trial: str, error: str, traceback: str = "") -> None:
        """Record why a trial failed.

        Raises:
            StorageError: if that cannot be written.
        """
        content = json.dumps({"error": error, "traceback": traceback}, indent=1).encode()
        write_atomically(self.path / "failures" / f"{trial}.json", content)

    # --- tables ---------------------------------------------------------------------------------

    def tables(self) -> list[str]:
        """Names of the tables of which a recorded trial has a part.

        Raises:
            DamagedError: for a ledger that is not as it was written.
        """
        found = set()
        for trial in self.done():
            ledger = self.ledger(trial)
            names = map(Path, ledger.files) if ledger else self.shards_of(trial)
            found |= {name.parts[1] for name in names if name.parts[0] == "tables"}
        return sorted(found)

    def shards_of(self, trial: str) -> list[Path]:
        """Where a trial has shards, whatever a ledger says; paths within the run directory."""
        return [path.relative_to(self.path) for path in self.path.glob(f"tables/*/{trial}.parquet")]

    def read(self, table: str, trials: Iterable[str]) -> pa.Table | None:
        """The shards of these trials as one table, None if there are none.

        Raises:
            DamagedError: for a shard that is not as it was written; the message names the file.
            RunDirectoryError: for shards that do not go together.
        """
        parts, done = [], self.done()
        for trial in trials:
            name = f"tables/{table}/{trial}.parquet"
            content = self.checked(trial, name) if trial in done else None
            if content is not None:
                parts.append(rows(content, self.path / name))
        if not parts:
            return None
        return joined(parts, self.path / "tables" / table)

    def timing(self) -> dict[str, dict[str, float]]:
        """Recorded trial to seconds, by part of its work.

        Raises:
            DamagedError: for a file that is not as it was written.
        """
        seconds = {}
        for trial in sorted(self.done()):
            name = f"timing/{trial}.json"
            if (content := self.checked(trial, name)) is not None:
                seconds[trial] = seconds_of(content, self.path / name)
        return seconds


def _weights_name(trial: str) -> str:
    return f"weights/{trial}.safetensors"


def _failure(path: Path) -> dict[str, object]:
    """Why a trial failed, or that it is not known."""
    try:
        content = json_object(path)
    except (DamagedError, FileNotFoundError):
        content = {}
    return {"error": "for a reason that can no longer be read", "traceback": "", **content}


def seconds_of(content: bytes, path: Path) -> dict[str, float]:
    """Where a trial's time went, from its file.

    Raises:
        DamagedError: if it holds something else.
    """
    try:
        seconds = dict(json.loads(content))
        numbers = {k: float(value) for k, value in seconds.items()}
    except (ValueError, TypeError, RecursionError):
        raise DamagedError.of(path, "it holds no seconds") from None
    return numbers
