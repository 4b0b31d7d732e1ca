"""Ledgers: what was written of a trial, with the size and checksum of each file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field, ValidationError

from gradscope.components.identity import sha256
from gradscope.errors import DamagedError
from gradscope.results.manifest import Part, TrialEntry, first_problem
from gradscope.results.seals import sealed, unsealed

#: the path of a file that lies in the run directory, two folders deep at most
_WITHIN = r"^[A-Za-z]\w*/(\w+/)?\w[\w.]*$"


class FileEntry(NamedTuple):
    """One file of a trial.

    Attributes:
        bytes: its size.
        sha256: its checksum.
    """

    bytes: int
    sha256: str

    @classmethod
    def of(cls, content: bytes) -> FileEntry:
        """The entry of a file's content."""
        return cls(len(content), hashlib.sha256(content).hexdigest())


class Ledger(Part):
    """What was written of one trial; it is written last, and with it the trial is recorded.

    Attributes:
        trial: its id.
        settings: the SHA-256 of what decided its outcome, as its entry in the manifest says it; ""
            where that was not known.
        files: path within the run directory to size and checksum.
        together: the trials that began as one program with it, itself among them, in their order;
            () if it trained alone. Its last digits may depend on them.
    """

    trial: str
    settings: str = ""
    together: tuple[str, ...] = ()
    files: dict[Annotated[str, Field(pattern=_WITHIN)], FileEntry]

    def content(self) -> bytes:
        """The ledger's own file."""
        return sealed(self.model_dump(mode="json"))

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """The ledger in a file.

        Raises:
            FileNotFoundError: if it is not there.
            DamagedError: if it is not as it was written, or is another trial's.
        """
        try:
            ledger = cls.model_validate(unsealed(path))
        except ValidationError as error:
            raise DamagedError.of(path, first_problem(error)) from None
        if ledger.trial != path.stem:
            raise DamagedError.of(path, f"it is that of the trial {ledger.trial}")
        return ledger

    def problem(self, name: str, content: bytes | None) -> str:
        """What is wrong with a file; "" if nothing is.

        Args:
            name: its path within the run directory.
            content: of the file; None if it is not there.
        """
        known = self.files.get(name)
        if known is None:
            return "" if content is None else "its trial's ledger does not know it"
        if content is None:
            return "it is missing"
        if len(content) < known.bytes:
            return f"it ends after {len(content)} of {known.bytes} bytes"
        if FileEntry.of(content) != known:
            return "it is not what its checksum says, so it was changed after it was written"
        return ""


def settings_digest(entry: TrialEntry) -> str:
    """The SHA-256 of what decides a trial's outcome."""
    return sha256([entry.id, entry.settings, entry.contents])
