"""Arrays of numbers as text in a page."""

from __future__ import annotations

import base64
import zlib

import numpy as np


class Packed:
    """Arrays that go into a page, each named by its number; equal ones are kept once.

    Floats have four bytes each, integers too. All of them together are laid out byte by byte (the
    first bytes of all numbers, then the second ones), which squeezes better, and are deflated.

    Attributes:
        bytes: what the arrays take before they are squeezed.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._arrays: list[np.ndarray] = []
        self._known: dict[bytes, int] = {}

    def add(self, values: np.ndarray) -> int:
        """The number of an array; integers stay integers, all else becomes a float32."""
        whole = np.issubdtype(values.dtype, np.integer)
        array = np.ascontiguousarray(values, dtype="<i4" if whole else "<f4")
        key = (b"i" if whole else b"f") + array.tobytes()
        if key not in self._known:
            self._known[key] = len(self._arrays)
            self._arrays.append(array)
            self.bytes += array.nbytes
        return self._known[key]

    @property
    def layout(self) -> list[tuple[str, int]]:
        """The type of each array, "i" or "f", and its length."""
        return [(array.dtype.kind, len(array)) for array in self._arrays]

    def text(self) -> str:
        """All arrays, one after the other, in base 64."""
        whole = b"".join(array.tobytes() for array in self._arrays)
        planes = np.frombuffer(whole, dtype=np.uint8).reshape(-1, 4).T
        return base64.b64encode(zlib.compress(planes.tobytes(), 6)).decode("ascii")
