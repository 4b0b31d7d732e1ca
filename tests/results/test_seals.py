"""Sealed JSON files: any change is noticed."""

import contextlib
import json
import math
import random

import pytest

from gradscope.components.identity import sha256
from gradscope.errors import DamagedError
from gradscope.results.seals import is_sealed, json_object, sealed, unsealed

CONTENT = {"b": [1, 2.5, None, "ü"], "a": {"nested": True}, "none": math.inf}


def test_what_is_sealed_is_read(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(sealed(CONTENT))
    assert unsealed(path) == CONTENT
    assert is_sealed(json.loads(path.read_text()))
    assert not is_sealed(CONTENT)


def test_spaces_and_the_order_of_keys_may_change(tmp_path):
    path = tmp_path / "a.json"
    content = json.loads(sealed(CONTENT))
    path.write_text(json.dumps(dict(reversed(content.items()))))
    assert unsealed(path) == CONTENT
    assert sha256({"a": 1, "b": 2}) == sha256({"b": 2, "a": 1}) != sha256({"a": 2, "b": 1})


def test_flipped_bits_are_noticed(tmp_path):
    """Or change nothing that is said: a space for a line's end, at most."""
    path, chance = tmp_path / "a.json", random.Random(0)
    whole, noticed = sealed(CONTENT), 0
    for _ in range(300):
        content = bytearray(whole)
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(content))
        with contextlib.suppress(DamagedError):
            assert unsealed(path) == CONTENT
            continue
        noticed += 1
    assert noticed > 250


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b"[1]", b"3", b"[" * 100_000])
def test_what_is_no_json_object_is_named(content, tmp_path):
    (tmp_path / "a.json").write_bytes(content)
    for read in (json_object, unsealed):
        with pytest.raises(DamagedError, match=r"a\.json: damaged"):
            read(tmp_path / "a.json")
    with pytest.raises(FileNotFoundError):
        json_object(tmp_path / "b.json")


def test_without_a_seal(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(DamagedError, match="has no checksum"):
        unsealed(tmp_path / "a.json")
