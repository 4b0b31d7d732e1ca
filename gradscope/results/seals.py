"""Seals: JSON files that carry the SHA-256 of what they say, so that a changed bit is noticed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from gradscope.components.identity import sha256
from gradscope.errors import DamagedError

#: the key of the checksum
_SEAL = "sha256"


def sealed(content: Mapping[str, object]) -> bytes:
    """A JSON object that ends with the checksum of all the rest.

    >>> json.loads(sealed({"a": 1}))["sha256"] == sha256({"a": 1})
    True
    """
    return json.dumps({**content, _SEAL: sha256(dict(content))}, indent=1).encode()


def is_sealed(content: Mapping[str, object]) -> bool:
    """Whether an object carries a checksum."""
    return _SEAL in content


def unsealed(path: Path) -> dict[str, object]:
    """What a sealed file says, without its checksum.

    Raises:
        FileNotFoundError: if it is not there.
        DamagedError: if it cannot be read, or its checksum is not that of its content.
    """
    return opened(json_object(path), path)


def opened(content: Mapping[str, object], path: Path) -> dict[str, object]:
    """What a sealed object says, without its checksum.

    Args:
        content: of the file.
        path: that it was read from.

    Raises:
        DamagedError: if its checksum is not that of its content.
    """
    rest = {key: value for key, value in content.items() if key != _SEAL}
    seal = content.get(_SEAL)
    if seal != sha256(rest):
        what = "has no checksum" if seal is None else "is not what its checksum says"
        raise DamagedError.of(path, f"{what}, so it was changed after it was written")
    return rest


def json_object(path: Path) -> dict[str, object]:
    """The object in a JSON file.

    Raises:
        FileNotFoundError: if it is not there.
        DamagedError: if it cannot be read, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(path) from None
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedError.of(path, str(error)) from None
    if not isinstance(content, dict):
        raise DamagedError.of(path, "it holds no JSON object")
    return content
