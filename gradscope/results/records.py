"""A run directory on disk: atomic, resumable, readable by others.

    manifest.json                    the experiment, its trials, and the provenance of each part
    tables/<table>/<trial>.parquet   one shard for each trial and table
    weights/<trial>.safetensors      a trial's trained weights, where they are kept
    timing/<trial>.json              seconds, which depend on the machine and so stand apart
    failures/<trial>.json            why a trial failed, other than by divergence

A trial counts as done when its shard of the table ``trials``, written last, is there. Any number of
writers on any number of machines need no lock.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from gradscope.errors import RunDirectoryError
from gradscope.results.columns import Columns
from gradscope.results.files import read_json, remove_temporaries, write_atomically
from gradscope.results.manifest import FORMAT, Manifest, Provenance, first_problem
from gradscope.results.provenance import git_revision, hardware, versions


class RunDirectory:
    """A run's directory; opening it for reading checks that it is one."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

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
            RunDirectoryError: if the directory is not a run's, or its manifest cannot be read.
        """
        try:
            content = json.loads(self.manifest_path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunDirectoryError(f"{self.path}: {self._what_it_is_instead()}") from None
        except (OSError, ValueError) as error:
            raise RunDirectoryError(f"{self.manifest_path}: cannot be read: {error}") from None
        version = content.get("format") if isinstance(content, dict) else type(content).__name__
        if version != FORMAT:
            raise RunDirectoryError(
                f"{self.manifest_path}: format {version!r}, this version reads {FORMAT}"
            )
        try:
            return Manifest.model_validate(content)
        except ValidationError as error:
            raise RunDirectoryError(
                f"{self.manifest_path}: damaged, {first_problem(error)}"
            ) from None

    def _what_it_is_instead(self) -> str:
        if (self.path / "findings.json").exists():
            return "is the report of a scope, no run; open its index.html"
        what = "holds no manifest.json" if self.path.is_dir() else "does not exist"
        return f"{what}; name a directory that 'gradscope run' has written"

    def prepare(self, wanted: Manifest, device: str) -> Manifest:
        """Make the directory ready for the trials of a manifest.

        What a run of the same experiment recorded stays. A sweep may have grown since, or its words
        changed; every recorded trial must still be one of them.

        Args:
            wanted: without ``created`` and ``provenance``, which are filled in.
            device: that the trials are to run on.

        Returns:
            The manifest as it stands on disk now.

        Raises:
            RunDirectoryError: if the directory holds something else, or cannot be written; nothing
                is changed then.
        """
        ids = {trial.id for trial in wanted.trials}
        before = self._continued(wanted, ids)
        here = Provenance(
            device=device, versions=versions(), hardware=hardware(), git=git_revision()
        )
        history = list(before.provenance) if before is not None else []
        if ids - self.done() and (
            not history or history[-1].model_copy(update={"since": ""}) != here
        ):
            history.append(here.model_copy(update={"since": _now()}))
        created = before.created if before is not None else _now()
        manifest = wanted.model_copy(update={"created": created, "provenance": history})
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            content = manifest.model_dump(mode="json")
            write_atomically(self.manifest_path, json.dumps(content, indent=1).encode())
        except OSError as error:
            raise RunDirectoryError(
                f"{self.path}: cannot be written: {error.strerror or error}; give another "
                "directory with --out"
            ) from None
        remove_temporaries(self.path)
        return manifest

    def _continued(self, wanted: Manifest, ids: set[str]) -> Manifest | None:
        """The manifest of the run that goes on here; None for a new one."""
        if not self.manifest_path.exists():
            if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
                raise RunDirectoryError(
                    f"{self.path}: exists and is not a run directory; give another one with --out"
                )
            return None
        before = self.manifest()
        if problem := _difference(before, wanted, len(self.done() - ids)):
            raise RunDirectoryError(
                f"{self.path}: holds {problem}; give another directory with --out, or remove it"
            )
        return before

    # --- trials ---------------------------------------------------------------------------------

    def done(self) -> set[str]:
        """Ids of the trials that are wholly recorded."""
        return {path.stem for path in (self.path / "tables" / "trials").glob("*.parquet")}

    def failures(self) -> dict[str, dict[str, object]]:
        """Trial id to what went wrong, of trials that failed and have not been recorded since."""
        missing = {trial.id for trial in self.manifest().trials} - self.done()
        paths = sorted((self.path / "failures").glob("*.json"))
        return {path.stem: read_json(path) for path in paths if path.stem in missing}

    def write_trial(
        self,
        trial: str,
        tables: Mapping[str, Columns],
        seconds: Mapping[str, float],
        weights: bytes | None = None,
    ) -> None:
        """Put a trial's shards in place, the table ``trials`` last.

        Args:
            trial: its id.
            tables: name to columns.
            seconds: where its time went.
            weights: the trained weights as safetensors bytes, where they are kept.
        """
        if weights is not None:
            write_atomically(self.weights_path(trial), weights)
        for table in sorted(tables, key=lambda name: name == "trials"):
            columns = tables[table]
            count = len(next(iter(columns.values())))
            if table == "trials":
                self.write_json("timing", trial, seconds)
            write_atomically(
                self.path / "tables" / table / f"{trial}.parquet",
                _parquet({"trial": [trial] * count, **columns}),
            )
        (self.path / "failures" / f"{trial}.json").unlink(missing_ok=True)

    def weights_path(self, trial: str) -> Path:
        """Where a trial's trained weights are, if they were kept."""
        return self.path / "weights" / f"{trial}.safetensors"

    def write_json(self, folder: str, trial: str, content: Mapping[str, object]) -> None:
        """Put ``<folder>/<trial>.json`` in place."""
        path = self.path / folder / f"{trial}.json"
        write_atomically(path, json.dumps(dict(content), indent=1).encode())

    # --- tables ---------------------------------------------------------------------------------

    def tables(self) -> list[str]:
        """Names of the tables that have a shard."""
        folders = (self.path / "tables").glob("*")
        return sorted(path.name for path in folders if any(path.glob("*.parquet")))

    def read(self, table: str, trials: Iterable[str]) -> pa.Table | None:
        """The shards of these trials as one table, None if there are none.

        Raises:
            RunDirectoryError: for a shard that cannot be read, or is another trial's; the message
                names the file.
        """
        parts = []
        for trial in trials:
            path = self.path / "tables" / table / f"{trial}.parquet"
            if path.exists():
                parts.append(_read_shard(path))
        if not parts:
            return None
        try:
            return pa.concat_tables(parts, promote_options="permissive")
        except pa.ArrowException as error:
            raise RunDirectoryError(
                f"{self.path / 'tables' / table}: the trials' columns do not go together: {error}"
            ) from None

    def timing(self) -> dict[str, dict[str, float]]:
        """Trial id to seconds, by part of its work.

        Raises:
            RunDirectoryError: for a file that cannot be read.
        """
        paths = sorted((self.path / "timing").glob("*.json"))
        return {path.stem: _seconds(path) for path in paths}


def _difference(before: Manifest, wanted: Manifest, foreign: int) -> str:
    """Why a run cannot go on as the one wanted; empty if it can."""
    if before.name != wanted.name:
        return f"a run of the experiment {before.name!r}, not of {wanted.name!r}"
    digests: dict[str, list[str]] = {}  # two plugins may share a component that both import
    for plugin in before.plugins:
        for part in plugin.components:
            digests.setdefault(part, []).append(plugin.sha256)
    for plugin in wanted.plugins:
        for part in plugin.components:
            if plugin.sha256 not in digests.get(part, [plugin.sha256]):
                return (
                    f"a run that began with another version of the {part} of {plugin.path}: the "
                    f"plugin's SHA-256 was {' or '.join(digests[part])} and now is {plugin.sha256}"
                )
    if foreign:
        several = "s" * (foreign > 1)
        return f"{foreign} recorded trial{several} that the experiment, as it is now, does not have"
    return ""


def _seconds(path: Path) -> dict[str, float]:
    seconds = read_json(path)
    numbers = {k: float(value) for k, value in seconds.items() if isinstance(value, int | float)}
    if len(numbers) < len(seconds):
        raise RunDirectoryError(f"{path}: damaged (not all of it is seconds); delete it")
    return numbers


def _read_shard(path: Path) -> pa.Table:
    """The table in a trial's file, if it is whole and says that it is of that trial."""
    try:
        with pq.ParquetFile(path) as file:
            table = file.read()
        table.validate(full=True)
        if any(trial != path.stem for trial in table["trial"].unique().to_pylist()):
            raise ValueError("of another trial")
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise RunDirectoryError(
            f"{path}: damaged ({error}); delete the file and its namesake under tables/trials, "
            "and run the experiment again"
        ) from None
    return table


def _parquet(columns: Columns) -> bytes:
    table = pa.table({name: pa.array(list(values)) for name, values in columns.items()})
    floating = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    others = [field.name for field in table.schema if field.name not in floating]
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        # a list of columns is allowed, its annotation is not
        use_dictionary=others,  # pyright: ignore[reportArgumentType]
        use_byte_stream_split=floating,  # pyright: ignore[reportArgumentType]
    )
    return sink.getvalue().to_pybytes()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
