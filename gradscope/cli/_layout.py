"""A summary laid out for the columns that a terminal has."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from rich.cells import cell_len
from rich.markup import escape
from rich.table import Table

#: what rich draws around a column, and beside the first one
_AROUND, _EDGE = 3, 1
#: least and most columns of the screen for the labels of configurations
_LABEL_LEAST, _LABEL_MOST = 16, 48
#: configurations that may stand side by side
_BESIDE = 6
#: columns of the screen from which on an interval may be broken between its words
_BROKEN = 12


@dataclass(frozen=True)
class Layout:
    """A table that fits, and the headings of the columns that had to be left out."""

    table: Table
    left_out: list[str]


def laid_out(printed: pd.DataFrame, width: int, telling: Sequence[str] = ()) -> Layout:
    """The summary in print as a table of at most that width.

    Where not all columns fit, a few configurations stand side by side with the measures below one
    another; of many, intervals are broken over lines, and if that is not enough, the columns that
    tell most are kept, each in full. A length that is the same throughout is the first to go.

    Args:
        printed: as ``summary.formatted`` gives it, its first column the configurations.
        width: columns of the screen.
        telling: headings to keep first.
    """
    if _least(printed) <= width:
        return Layout(_table(printed, width), [])
    beside = _transposed(printed)
    if len(printed) <= _BESIDE and _least(beside) <= width:
        return Layout(_table(beside, width), [])
    if _least(printed, broken=True) <= width:
        return Layout(_table(printed, width, broken=True), [])
    kept = _kept(printed, width, telling)
    left_out = [str(name) for name in printed.columns if name not in kept]
    return Layout(_table(printed[[n for n in printed.columns if n in kept]], width), left_out)


def _kept(printed: pd.DataFrame, width: int, telling: Sequence[str]) -> list[str]:
    """The label, and as many columns as fit beside it; lengths where they tell rows apart."""
    label, *rest = map(str, printed.columns)
    lengths = [name for name in rest if name.startswith("length") and printed[name].nunique() > 1]
    first = [*lengths, *(name for name in telling if name in rest)]
    kept = [label]
    for name in dict.fromkeys([*first, *rest]):
        needless = name.startswith("length") and name not in lengths
        if not needless and _least(printed[[*kept, name]]) <= width:
            kept.append(name)
    return kept


def _transposed(printed: pd.DataFrame) -> pd.DataFrame:
    """Measures as rows, configurations as columns; a length is part of its configuration's name."""
    label, *rest = map(str, printed.columns)
    columns = {"": rest}
    for place, name in enumerate(printed[label]):
        heading = str(name)
        while heading in columns:  # the same configuration at another length
            heading += " "
        columns[heading] = [str(printed[column].iloc[place]) for column in rest]
    return pd.DataFrame(columns)


def _least(frame: pd.DataFrame, *, broken: bool = False) -> int:
    """Columns of the screen that a table needs at least."""
    first, *rest = map(str, frame.columns)
    widths = [min(_label_width(frame, first), _LABEL_LEAST)]
    widths += [_value_width(frame, name, broken) for name in rest]
    return sum(widths) + _AROUND * len(widths) + _EDGE


def _label_width(frame: pd.DataFrame, name: str) -> int:
    return max((cell_len(str(text)) for text in [name, *frame[name]]), default=0)


def _value_width(frame: pd.DataFrame, name: str, broken: bool) -> int:
    """The longest line of a column's values, or word of its heading."""
    cells = [str(cell) for cell in frame[name]]
    words = [word for text in [name, *cells] for word in text.split()]
    lines = [line for cell in cells for line in cell.splitlines()]
    word, line = (max(map(cell_len, texts), default=0) for texts in (words, lines))
    return max(word, min(line, _BROKEN) if broken else line)


def _table(frame: pd.DataFrame, width: int, *, broken: bool = False) -> Table:
    """A table whose labels and headings may be broken over lines, and its values if so asked."""
    first, *rest = map(str, frame.columns)
    widths = {name: _value_width(frame, name, broken) for name in rest}
    room = width - sum(widths.values()) - _AROUND * (len(rest) + 1) - _EDGE
    label = max(1, min(room, _LABEL_MOST, _label_width(frame, first)))
    table = Table()
    table.add_column(escape(first), width=label, overflow="fold")
    for name, wide in widths.items():
        heading = textwrap.fill(name.strip(), wide, break_long_words=False, break_on_hyphens=False)
        table.add_column(
            escape(heading), width=wide, justify="right", no_wrap=not broken, overflow="fold"
        )
    for row in frame.itertuples(index=False):
        table.add_row(*(escape(str(cell)) for cell in row))
    return table
