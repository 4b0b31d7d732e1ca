"""Arrays of numbers as text."""

import base64
import zlib

import numpy as np

from gradscope.report.explorer.packing import Packed


def unpacked(packed):
    """As the page's script does it."""
    planes = np.frombuffer(zlib.decompress(base64.b64decode(packed.text())), dtype=np.uint8)
    whole = planes.reshape(4, -1).T.tobytes()
    arrays, at = [], 0
    for kind, length in packed.layout:
        dtype = {"i": "<i4", "f": "<f4"}[kind]
        arrays.append(np.frombuffer(whole, dtype, length, 4 * at))
        at += length
    return arrays


def test_arrays_come_back_as_they_were():
    packed = Packed()
    floats = np.array([0.1, -np.inf, np.nan, np.inf, -0.0, 1e-40])
    whole = np.arange(5, dtype=np.int64)
    assert [packed.add(floats), packed.add(whole), packed.add(floats[:0])] == [0, 1, 2]
    first, second, third = unpacked(packed)
    np.testing.assert_array_equal(first, floats.astype(np.float32))
    np.testing.assert_array_equal(second, whole)
    assert third.size == 0


def test_what_is_alike_is_kept_once():
    packed = Packed()
    ones = np.ones(3)
    assert packed.add(ones) == packed.add(ones.copy()) == 0
    # the same bytes as another type are not alike
    assert packed.add(ones.astype(np.float32).view(np.int32)) == 1
    assert packed.layout == [("f", 3), ("i", 3)]
    assert packed.bytes == 24


def test_nothing_is_nothing():
    assert unpacked(Packed()) == []
