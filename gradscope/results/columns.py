"""Columns: what a measurement gives, and how rows of it are gathered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: name to equally long sequences
Columns = Mapping[str, Sequence[object]]

#: types whose items are the values of several rows
_SEVERAL = (list, tuple, range)


class Rows(dict[str, list[object]]):
    """Columns that grow together.

    >>> rows = Rows()
    >>> rows.add(lag=range(2), block="state")
    >>> rows.add(lag=[7], block="hidden")
    >>> dict(rows)
    {'lag': [0, 1, 7], 'block': ['state', 'state', 'hidden']}
    """

    def add(self, **columns: object) -> None:
        """Append rows.

        Args:
            columns: name to a list, tuple, range or array with a value for each row; any other
                value, such as a string or a number, stands for every one of them.

        Raises:
            ValueError: if they differ in length.
        """
        columns = {name: _listed(values) for name, values in columns.items()}
        lengths = {name: len(v) for name, v in columns.items() if isinstance(v, _SEVERAL)}
        count = next(iter(lengths.values()), 1)
        if any(length != count for length in lengths.values()):
            raise ValueError(f"columns of one table differ in length: {lengths}")
        for name, values in columns.items():
            column = self.setdefault(name, [])
            column += values if isinstance(values, _SEVERAL) else [values] * count

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(next(iter(self.values()), ()))


def _listed(values: object) -> object:
    """The items of an array or tensor; anything else as it is."""
    to_list = getattr(values, "tolist", None)
    return to_list() if to_list is not None and getattr(values, "ndim", 0) else values
