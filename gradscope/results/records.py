"""A run directory on disk: atomic, resumable, readable by others.

    manifest.json               the experiment, its trials; device, versions, hardware, git revision of each stretch of work
    tables/<table>/<trial>.parquet   one shard for each trial and table
    timing/<trial>.json         seconds, which depend on the machine and so stand apart from the tables
    failures/<trial>.json       the traceback of a trial that failed for a cause other than divergence

A shard is written under a temporary name, fsynced and put in place with os.replace; a trial counts
as done when its shard of the table ``trials``, written last, is there. Any number of writers on any
number of machines need no lock.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gradscope.errors import RunDirectoryError

FORMAT = 1
_PACKAGES = ("gradscope", "torch", "numpy", "pandas", "scipy", "pyarrow")


class RunDirectory:
    """A run's directory; opening it for reading checks that it is one."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

    @property
    def manifest_path(self) -> Path:
        """Where the manifest stands."""
        return self.path / "manifest.json"

    def manifest(self) -> dict[str, Any]:
        """What the manifest says.

        Raises:
            RunDirectoryError: if the directory is not a run's, or its manifest cannot be read.
        """
        try:
            manifest = json.loads(self.manifest_path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            what = "holds no manifest.json" if self.path.is_dir() else "does not exist"
            if (self.path / "findings.json").exists():
                raise RunDirectoryError(
                    f"{self.path}: is the report of an attached model, no run; open its index.html"
                ) from None
            raise RunDirectoryError(
                f"{self.path}: {what}; name a directory that 'gradscope run' has written"
            ) from None
        except (OSError, ValueError) as error:
            raise RunDirectoryError(f"{self.manifest_path}: cannot be read: {error}") from None
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            found = (
                manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
            )
            raise RunDirectoryError(
                f"{self.manifest_path}: format {found!r}, this version reads {FORMAT}"
            )
        if absent := [
            key for key in ("name", "created", "trials", "provenance") if key not in manifest
        ]:
            raise RunDirectoryError(f"{self.manifest_path}: damaged, it lacks {absent[0]!r}")
        return manifest

    def prepare(
        self, name: str, description: dict[str, Any], trials: list[dict[str, Any]], device: str
    ) -> None:
        """Make the directory ready for these trials; what a run of the same experiment recorded
        stays.

        A sweep may have grown since, or its words changed; every recorded trial must still be one
        of ``trials``.

        Raises:
            RunDirectoryError: if the directory holds something else, or cannot be written; nothing
                is changed then.
        """
        ids = {trial["id"] for trial in trials}
        if self.manifest_path.exists():
            manifest = self.manifest()
            foreign = self.done() - ids
            if manifest["name"] != name or foreign:
                reason = (
                    f"a run of the experiment {manifest['name']!r}, not of {name!r}"
                    if manifest["name"] != name
                    else (
                        f"{len(foreign)} recorded trial{'s' * (len(foreign) > 1)} that the"
                        " experiment, as it is now, does not have"
                    )
                )
                raise RunDirectoryError(
                    f"{self.path}: holds {reason}; give another directory with --out, or remove it"
                )
            created, history = manifest["created"], manifest["provenance"]
        else:
            if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
                raise RunDirectoryError(
                    f"{self.path}: exists and is not a run directory; give another one with --out"
                )
            created, history = _now(), []
        here = {
            "device": device,
            "versions": versions(),
            "hardware": hardware(),
            "git": git_revision(),
        }
        if ids - self.done() and (
            not history or {**history[-1], "since": None} != {**here, "since": None}
        ):
            history = [*history, {**here, "since": _now()}]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            manifest = {
                "format": FORMAT,
                "name": name,
                "created": created,
                **description,
                "trials": trials,
                "provenance": history,
            }
            write_atomically(self.manifest_path, json.dumps(manifest, indent=1).encode())
        except OSError as error:
            raise RunDirectoryError(
                f"{self.path}: cannot be written: {error.strerror or error}; give another directory"
                " with --out"
            ) from None
        self._sweep_temporaries()

    def _sweep_temporaries(self) -> None:
        """Remove what writers on this host left behind when they were killed."""
        for path in self.path.rglob(".*.tmp"):
            host, _, pid = path.name.removesuffix(".tmp").rpartition(".")[2].rpartition("-")
            if host == _host() and pid.isdigit() and not _alive(int(pid)):
                path.unlink(missing_ok=True)

    def done(self) -> set[str]:
        """Ids of the trials that are wholly recorded."""
        return {path.stem for path in (self.path / "tables" / "trials").glob("*.parquet")}

    def failures(self) -> dict[str, dict[str, str]]:
        """Trial id to what went wrong, for trials of the experiment that failed and have not been
        recorded since.
        """
        open_ = {trial["id"] for trial in self.manifest()["trials"]} - self.done()
        found = {path.stem: path for path in sorted((self.path / "failures").glob("*.json"))}
        return {trial: _json(path) for trial, path in found.items() if trial in open_}

    def write_trial(
        self,
        trial: str,
        tables: dict[str, dict[str, list]],
        seconds: dict[str, float],
        weights: bytes | None = None,
    ) -> None:
        """Put a trial's shards in place, and its weights (safetensors bytes) where there are any;
        the table ``trials`` last.
        """
        if weights is not None:
            write_atomically(self.weights_path(trial), weights)
        for table in sorted(tables, key=lambda name: name == "trials"):
            columns = {"trial": [trial] * len(next(iter(tables[table].values()))), **tables[table]}
            if table == "trials":
                self.write_json("timing", trial, seconds)
            write_atomically(self.path / "tables" / table / f"{trial}.parquet", _parquet(columns))
        (self.path / "failures" / f"{trial}.json").unlink(missing_ok=True)

    def weights_path(self, trial: str) -> Path:
        """Where a trial's trained weights are, if they were kept."""
        return self.path / "weights" / f"{trial}.safetensors"

    def write_json(self, folder: str, trial: str, content: dict[str, Any]) -> None:
        """Put ``<folder>/<trial>.json`` in place."""
        write_atomically(
            self.path / folder / f"{trial}.json", json.dumps(content, indent=1).encode()
        )

    def tables(self) -> list[str]:
        """Names of the tables that have a shard."""
        return sorted(
            path.name for path in (self.path / "tables").glob("*") if any(path.glob("*.parquet"))
        )

    def read(self, table: str, trials: Iterable[str]) -> pa.Table | None:
        """The shards of these trials as one table, None if there are none.

        Raises:
            RunDirectoryError: for a shard that is no Parquet file.
        """
        parts = []
        for trial in trials:
            path = self.path / "tables" / table / f"{trial}.parquet"
            if path.exists():
                try:
                    parts.append(pq.read_table(path, partitioning=None))  # type: ignore[arg-type]
                except (pa.ArrowInvalid, OSError) as error:
                    raise RunDirectoryError(
                        f"{path}: damaged ({error}); delete the file and its namesake under"
                        " tables/trials and run the experiment again"
                    ) from None
        return pa.concat_tables(parts, promote_options="permissive") if parts else None

    def timing(self) -> dict[str, dict[str, float]]:
        """Trial id to seconds."""
        return {path.stem: _json(path) for path in sorted((self.path / "timing").glob("*.json"))}


def write_atomically(path: Path, content: bytes) -> None:
    """Write under a temporary name, fsync, and put in place: a reader sees the old file or the new
    one, whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.{_host()}-{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _parquet(columns: dict[str, list]) -> bytes:
    table = pa.table({name: pa.array(list(values)) for name, values in columns.items()})
    floating = [f.name for f in table.schema if pa.types.is_floating(f.type)]
    others = [f.name for f in table.schema if f.name not in floating]
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        use_dictionary=others,  # type: ignore[arg-type]
        use_byte_stream_split=floating,  # type: ignore[arg-type]
    )
    return sink.getvalue().to_pybytes()


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunDirectoryError(f"{path}: damaged ({error}); delete it") from None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _host() -> str:
    """This machine's name, fit for a part of a file name."""
    return re.sub(r"[^A-Za-z0-9]", "_", platform.node())


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def versions() -> dict[str, str]:
    """Of Python and of the packages that decide the numbers."""
    found = {"python": sys.version.split()[0]}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """The machine in a few words."""
    processor = platform.processor()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            processor = next(
                (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
                processor,
            )
    except OSError:
        pass
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "processor": processor,
        "cpus": os.cpu_count(),
    }


def git_revision() -> str | None:
    """Of the working directory, with '+' where it has changes; None outside a repository."""
    try:
        head = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, timeout=5
        )
        if head.returncode:
            return None
        status = subprocess.run(
            ["git", "status", "--porcelain", "-uno"], capture_output=True, text=True, timeout=5
        )
        return head.stdout.strip() + ("+" if status.stdout.strip() else "")
    except (OSError, subprocess.TimeoutExpired):
        return None
