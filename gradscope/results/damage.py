"""Damage: what in a run directory is not as it was written, and how it is set aside."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gradscope.errors import DamagedError, RunDirectoryError, StorageError
from gradscope.results import gathered
from gradscope.results.ledger import FileEntry, Ledger, settings_digest
from gradscope.results.manifest import FORMAT, Manifest
from gradscope.results.records import RunDirectory
from gradscope.results.shards import rows

#: folders of a run whose files belong to trials
_FOLDERS = ("tables/*", "weights", "timing", "ledger")


@dataclass(frozen=True)
class Damage:
    """One file that is not as it was written.

    Attributes:
        file: its path within the run directory.
        trial: whose it is; "" of a file that no trial has.
        what: is wrong with it.
        spoils: whether the trial has to be run again.
    """

    file: str
    trial: str
    what: str
    spoils: bool = True


def damage(run: RunDirectory, manifest: Manifest | None) -> list[Damage]:
    """Everything that is wrong with a run's files, those of each trial together.

    Every file of every recorded trial is read, and every gathered one. What a trial that was killed
    left behind is no damage; it is written over when the trial is run again.

    Args:
        run: the directory.
        manifest: to hold the ledgers against; None where it cannot be read.
    """
    found, known = [], set[str]()
    entries = {} if manifest is None else {entry.id: entry for entry in manifest.trials}
    for trial in sorted(run.done()):
        place = f"ledger/{trial}.json"
        known.add(place)
        try:
            ledger = run.ledger(trial)
        except DamagedError as error:
            found.append(Damage(place, trial, error.what))
            continue
        if ledger is None:  # recorded in the first format, which knew no checksums
            known |= {path.as_posix() for path in run.shards_of(trial)}
            known |= {f"timing/{trial}.json", f"weights/{trial}.safetensors"}
            found += _unreadable(run, trial)
            continue
        entry = entries.get(trial)
        if entry is not None and ledger.settings not in ("", settings_digest(entry)):
            found.append(Damage(place, trial, "its settings are not those of the manifest"))
        known |= set(ledger.files)
        found += _of_files(run, ledger)
    found += _foreign(run, known, {*entries, *run.done()})
    return found + [Damage(name, "", what, spoils=False) for name, what in gathered.problems(run)]


def _of_files(run: RunDirectory, ledger: Ledger) -> Iterator[Damage]:
    for name in sorted(ledger.files):
        try:
            run.checked(ledger.trial, name)
        except DamagedError as error:
            yield Damage(name, ledger.trial, error.what)


def _unreadable(run: RunDirectory, trial: str) -> Iterator[Damage]:
    """Shards of the first format that are no tables of their trial."""
    for name in run.shards_of(trial):
        try:
            rows((run.path / name).read_bytes(), run.path / name)
        except (DamagedError, OSError) as error:
            what = error.what if isinstance(error, DamagedError) else str(error)
            yield Damage(name.as_posix(), trial, what)


def _foreign(run: RunDirectory, known: set[str], trials: set[str]) -> Iterator[Damage]:
    """Files among the trials' that no ledger knows, of whatever is no trial that may yet run."""
    done = run.done()
    for path in sorted(path for folder in _FOLDERS for path in run.path.glob(f"{folder}/*")):
        name = path.relative_to(run.path).as_posix()
        if name in known or path.name.endswith(".tmp"):
            continue
        trial = path.stem
        if trial in done and run.ledger_is_there(trial):
            yield Damage(name, trial, "its trial's ledger does not know it", spoils=False)
        elif trial not in trials or path.suffix not in (".parquet", ".json", ".safetensors"):
            yield Damage(name, "", "no trial of this run has it", spoils=False)


def set_aside(run: RunDirectory, found: Iterable[Damage]) -> list[Damage]:
    """Move damaged files, and the ledgers of their trials, into ``damaged/<n>`` of the run.

    Those trials count as not recorded from then on. Nothing is deleted.

    Raises:
        StorageError: if a file cannot be moved.
    """
    found = list(found)
    if not found:
        return []
    numbers = [int(path.name) for path in run.path.glob("damaged/*") if path.name.isdigit()]
    place = run.path / "damaged" / str(max(numbers, default=0) + 1)
    names = [d.file for d in found]
    for trial in spoilt(found):
        names += [f"ledger/{trial}.json", f"tables/trials/{trial}.parquet"]
    for name in dict.fromkeys(names):
        source, target = run.path / name, place / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, target)
        except FileNotFoundError:  # what is missing
            continue
        except OSError as error:
            raise StorageError.of(target, error) from None
    return found


def told(folder: Path, found: list[Damage]) -> str:
    """What was set aside, in a sentence."""
    trials, first = spoilt(found), found[0]
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    again = f"; {len(trials)} trial{'s' * (len(trials) != 1)} will be run again" if trials else ""
    return f"{folder / first.file}: {first.what}{more}; set aside in {folder / 'damaged'}{again}"


def spoilt(found: Iterable[Damage]) -> list[str]:
    """The trials that have to be run again."""
    return sorted({damaged.trial for damaged in found if damaged.trial and damaged.spoils})


def migrate(run: RunDirectory) -> None:
    """Write the ledgers that the first format of run directories lacks, and its manifest anew.

    A trial of which something cannot be read counts as not recorded from then on.

    Raises:
        StorageError: if one cannot be written.
    """
    for trial in sorted(run.done()):
        if run.ledger_is_there(trial):
            continue
        names = [path.as_posix() for path in run.shards_of(trial)]
        names += [f"timing/{trial}.json", f"weights/{trial}.safetensors"]
        files = {}
        try:
            for name in names:
                path = run.path / name
                if not path.is_file():
                    continue
                content = path.read_bytes()
                if path.suffix == ".parquet":
                    rows(content, path)
                files[name] = FileEntry.of(content)
        except (DamagedError, OSError):
            continue
        run.write_ledger(Ledger(trial=trial, files=files))
    manifest = run.manifest()
    if manifest.format != FORMAT:
        run.write_manifest(manifest.model_copy(update={"format": FORMAT}))


def manifest_or_none(run: RunDirectory) -> tuple[Manifest | None, list[Damage]]:
    """The manifest, or what is wrong with it.

    Raises:
        RunDirectoryError: if the directory is no run's.
    """
    try:
        return run.manifest(), []
    except DamagedError as error:
        return None, [Damage(run.manifest_path.name, "", error.what)]
    except RunDirectoryError:
        if not (run.path / "ledger").is_dir():
            raise
        return None, [Damage(run.manifest_path.name, "", "it is missing")]
