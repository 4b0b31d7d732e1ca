"""A run directory made ready for the trials of an experiment."""

from __future__ import annotations

from collections.abc import Set
from datetime import UTC, datetime
from typing import NamedTuple

from gradscope.components.suggestions import shown
from gradscope.errors import DamagedError, RunDirectoryError
from gradscope.results import lock, running
from gradscope.results.damage import Damage, damage, migrate, set_aside
from gradscope.results.files import remove_temporaries
from gradscope.results.manifest import FORMAT, Manifest, Provenance, leaves
from gradscope.results.provenance import git_revision, hardware, versions
from gradscope.results.records import PARTS, RunDirectory

#: settings that are told of a trial that has changed
_TOLD = 3


class Prepared(NamedTuple):
    """What stands in a directory that is ready for trials.

    Attributes:
        manifest: as it stands on disk now.
        damaged: what was set aside because it was not as it was written.
    """

    manifest: Manifest
    damaged: list[Damage]


def prepare_directory(run: RunDirectory, wanted: Manifest, device: str) -> Prepared:
    """Make a directory ready for the trials of a manifest.

    What a run of the same experiment recorded stays, if it is as it was written; what is not is set
    aside. A sweep may have grown since, or its words changed; every recorded trial must still be
    one of them.

    Args:
        run: the directory.
        wanted: its manifest, without ``created`` and ``provenance``, which are filled in.
        device: that the trials are to run on.

    Raises:
        RunDirectoryError: if the directory holds something else; nothing is changed then.
        StorageError: if it cannot be written.
    """
    ids = {trial.id for trial in wanted.trials}
    before = continued(run, wanted)
    damaged = set_aside(run, damage(run, wanted))
    if before is not None:
        migrate(run)
    here = Provenance(device=device, versions=versions(), hardware=hardware(), git=git_revision())
    history = list(before.provenance) if before is not None else []
    if ids - run.done() and (not history or history[-1].model_copy(update={"since": ""}) != here):
        history.append(here.model_copy(update={"since": _now()}))
    manifest = wanted.model_copy(
        update={
            "created": before.created if before is not None else _now(),
            "provenance": history,
            "together": before.together if before is not None else [],
            "format": FORMAT,
        }
    )
    run.write_manifest(manifest)
    remove_temporaries(run.path)
    return Prepared(manifest, damaged)


def continued(run: RunDirectory, wanted: Manifest) -> Manifest | None:
    """The manifest of the run that goes on here; None for a new one, or where it is lost.

    Raises:
        RunDirectoryError: if the directory holds something else.
    """
    try:
        before = run.manifest()
    except DamagedError:
        if not run.done():
            raise
        before = None  # the ledgers know what was recorded
    except RunDirectoryError:
        if not run.path.exists() or (run.path.is_dir() and not _content(run)):
            return None
        if run.manifest_path.exists():
            raise
        if not ((run.path / "ledger").is_dir() or _is_fragment(run, wanted)):
            raise RunDirectoryError(
                f"{run.path}: exists and is not a run directory; give another one with --out"
            ) from None
        before = None
    ids = {trial.id for trial in wanted.trials}
    if problem := _difference(before, wanted, run.done() - ids):
        raise RunDirectoryError(
            f"{run.path}: holds {problem}; give another directory (--out, or out=), or remove it"
        )
    return before


def _content(run: RunDirectory) -> list[str]:
    """What is in the directory besides files that come and go with a run."""
    names = [path.name for path in run.path.iterdir()]
    return [name for name in names if not _comes_and_goes(name)]


def _comes_and_goes(name: str) -> bool:
    """Whether a file is a lock, says what runs, or is half written."""
    return name in (lock.NAME, running.NAME) or name.endswith(".tmp")


def _is_fragment(run: RunDirectory, wanted: Manifest) -> bool:
    """Whether a directory holds nothing but files of the wanted trials.

    So it is where the directory of a run was taken away, and the run ended before it had written a
    manifest or a ledger anew.
    """
    ids = {trial.id for trial in wanted.trials}
    if not run.path.is_dir() or not set(_content(run)) <= set(PARTS):
        return False
    files = [path for path in run.path.rglob("*") if not path.is_dir()]
    ours = [path for path in files if not _comes_and_goes(path.name)]
    return all(path.stem in ids for path in ours)


def _difference(before: Manifest | None, wanted: Manifest, foreign: Set[str]) -> str:
    """Why a run cannot go on as the one wanted; empty if it can."""
    if before is not None and before.name != wanted.name:
        return f"a run of the experiment {before.name!r}, not of {wanted.name!r}"
    digests: dict[str, list[str]] = {}  # two plugins may share a component that both import
    for plugin in before.plugins if before is not None else ():
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
        trials = f"{len(foreign)} recorded trial{'s' * (len(foreign) > 1)}"
        changed = _changed(before, wanted, foreign) if before is not None else ""
        return f"{trials} that the experiment, as it is now, does not have{changed}"
    return ""


def _changed(before: Manifest, wanted: Manifest, foreign: Set[str]) -> str:
    """How the first of some recorded trials differs from the wanted one that is most like it."""
    recorded = next((dict(leaves(t.settings)) for t in before.trials if t.id in foreign), None)
    if recorded is None or not wanted.trials:
        return ""
    differences = [
        [
            f"{key} was {shown(recorded.get(key))}, is {shown(now.get(key))}"
            for key in {**recorded, **now}
            if recorded.get(key) != now.get(key)
        ]
        for now in (dict(leaves(trial.settings)) for trial in wanted.trials)
    ]
    told = min(differences, key=len)
    more = f" and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    return f" ({'; '.join(told[:_TOLD])}{more})" if told else ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
