"""Shards: a trial's rows as a file, which says whose they are."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gradscope.errors import DamagedError, RunDirectoryError
from gradscope.results.shards import joined, rows, shard

PLACE = Path("run/tables/x/aaa.parquet")


def columns_of(content):
    group = pq.ParquetFile(pa.BufferReader(content)).metadata.row_group(0)
    return [group.column(index) for index in range(group.num_columns)]


def test_rows_come_back_with_their_trial():
    table = rows(shard("aaa", {"v": [0.5, float("-inf")], "t": range(2)}), PLACE)
    assert table.to_pydict() == {"trial": ["aaa"] * 2, "v": [0.5, float("-inf")], "t": [0, 1]}


@pytest.mark.parametrize(("count", "squeezed"), [(10, "SNAPPY"), (20_000, "ZSTD")])
def test_small_ones_are_squeezed_by_what_starts_quickly(count, squeezed):
    columns = columns_of(shard("aaa", {"v": [0.5] * count}))
    assert {column.compression for column in columns} == {squeezed}


def test_floats_are_split_and_names_are_kept_once():
    trial, values = columns_of(shard("aaa", {"v": [0.5, 1.5]}))
    assert "BYTE_STREAM_SPLIT" in values.encodings
    assert trial.has_dictionary_page
    assert not values.has_dictionary_page


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (shard("bbb", {"v": [0.5]}), "it is of another trial"),
        (shard("aaa", {"v": [0.5]})[:-9], "magic bytes"),
        (b"", "too small|0 bytes|Parquet"),
    ],
)
def test_what_is_no_shard_of_the_trial_is_named(content, what):
    with pytest.raises(DamagedError, match=what) as refused:
        rows(content, PLACE)
    assert str(PLACE) in str(refused.value)


def test_trials_with_other_columns_go_together_as_far_as_their_types_do():
    parts = [pa.table({"v": [1]}), pa.table({"v": [0.5], "w": ["x"]})]
    assert joined(parts, PLACE.parent).to_pydict() == {"v": [1.0, 0.5], "w": [None, "x"]}
    with pytest.raises(RunDirectoryError, match="columns do not go together"):
        joined([pa.table({"v": ["x"]}), pa.table({"v": [0.5]})], PLACE.parent)
