"""Shards: one trial's part of a table, as the bytes of a Parquet file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gradscope.errors import DamagedError, RunDirectoryError
from gradscope.results.columns import Columns

#: bytes of a table up to which its file is squeezed by snappy: starting zstd for each column takes
#: longer there than reading the rest of the file, and gains next to nothing
_SMALL = 2**17


def shard(trial: str, columns: Columns) -> bytes:
    """The file of a trial's rows.

    Pages carry checksums of their own, for other readers of the file.
    """
    count = len(next(iter(columns.values())))
    rows: Columns = {"trial": [trial] * count, **columns}
    return file_of(pa.table({name: pa.array(list(values)) for name, values in rows.items()}))


def file_of(table: pa.Table) -> bytes:
    """A table as a file."""
    floating = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    others = [field.name for field in table.schema if field.name not in floating]
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="snappy" if table.nbytes <= _SMALL else "zstd",
        # a list of columns is allowed, its annotation is not
        use_dictionary=others,  # pyright: ignore[reportArgumentType]
        use_byte_stream_split=floating,  # pyright: ignore[reportArgumentType]
        write_page_checksum=True,
    )
    return sink.getvalue().to_pybytes()


def joined(parts: Sequence[pa.Table], folder: Path) -> pa.Table:
    """The shards of several trials as one table.

    Args:
        parts: one or more of them.
        folder: that they were read from.

    Raises:
        RunDirectoryError: if their columns do not go together.
    """
    try:
        return pa.concat_tables(parts, promote_options="permissive")
    except pa.ArrowException as error:
        raise RunDirectoryError(
            f"{folder}: the trials' columns do not go together: {error}"
        ) from None


def rows(content: bytes, path: Path) -> pa.Table:
    """The table in a trial's file, if it is whole and says that it is of that trial.

    Args:
        content: of the file.
        path: that it was read from.

    Raises:
        DamagedError: if not.
    """
    try:
        with pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True) as file:
            table = file.read(use_threads=False)  # of small files threads cost more
        table.validate(full=True)
        if any(trial != path.stem for trial in table["trial"].unique().to_pylist()):
            raise ValueError("it is of another trial")
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise DamagedError.of(path, str(error)) from None
    return table
