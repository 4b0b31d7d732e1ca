"""Columns: what a measurement gives, and how rows of it are gathered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: name to equally long sequences
Columns = Mapping[str, Sequence[object]]


class Rows(dict[str, list[object]]):
    """Columns that grow together.

    >>> rows = Rows()
    >>> rows.add(lag=range(2), block="state")
    >>> rows.add(lag=[7], block="hidden")
    >>> dict(rows)
    {'lag': [0, 1, 7], 'block': ['state', 'state', 'hidden']}
    """

    def add(self, **columns: object) -> None:
        """Append rows; a value that is no list, tuple or range stands for every one of them."""
        several = [len(v) for v in columns.values() if isinstance(v, list | tuple | range)]
        count = max(several, default=1)
        for name, values in columns.items():
            column = self.setdefault(name, [])
            if isinstance(values, list | tuple | range):
                column += values
            else:
                column += [values] * count

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(next(iter(self.values()), ()))
