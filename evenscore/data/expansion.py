"""How large a parquet table becomes when it is read, known before it is read.

Law: a table that needs more than :data:`FREE_BYTES` is read only where it is at most :data:`MAX_RATIO` times as large as its
file. Run lengths and dictionaries let a few bytes stand for any number of rows, and one long text for many.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from evenscore.data.archive import FREE_BYTES, MAX_BYTES, MAX_RATIO
from evenscore.errors import DataError

CELL = 8
"""Bytes of a value, a text without its characters."""


def check_expansion(path: Path, content: bytes) -> None:
    """Refuse a parquet table without nested columns that expands too far.

    Args:
        path: for the sentence.
        content: of the file.

    Raises:
        DataError: it does.
        ArrowException: it is no parquet file.
    """
    file = _opened(content)
    needed = file.metadata.num_rows * file.metadata.num_columns * CELL
    _check(path, needed, len(content))
    texts = [name for name, most in _texts(file) if needed + most > FREE_BYTES]
    if texts:
        _check(path, needed + sum(_characters(content, name) for name in texts), len(content))


def _check(path: Path, needed: int, size: int) -> None:
    if needed > MAX_BYTES:
        raise DataError(f"table {path} needs more than {MAX_BYTES >> 30} GiB: give fewer rows or columns")
    if needed > FREE_BYTES and needed > MAX_RATIO * size:
        raise DataError(
            f"table {path} expands to more than {MAX_RATIO} times its size, which no real table does: "
            "write it without compression and dictionaries if it is meant"
        )


def _opened(content: bytes, dictionaries: Sequence[str] = ()) -> Any:
    import pyarrow
    import pyarrow.parquet

    return pyarrow.parquet.ParquetFile(pyarrow.BufferReader(content), read_dictionary=list(dictionaries))


def _texts(file: Any) -> Iterator[tuple[str, int]]:
    """Each column of text, and the most bytes that it may need: no text is longer than its part of the file unpacked."""
    from pyarrow import types

    groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    for j, field in enumerate(file.schema_arrow):
        if types.is_string(field.type) or types.is_large_string(field.type):
            yield field.name, sum(group.num_rows * group.column(j).total_uncompressed_size for group in groups)


def _characters(content: bytes, name: str) -> int:
    """Bytes of all texts of a column, from its dictionaries and how often each entry stands, a row group at a time."""
    import pyarrow.compute

    total, file = 0, _opened(content, [name])
    for i in range(file.metadata.num_row_groups):
        for chunk in file.read_row_group(i, columns=[name]).column(0).chunks:
            lengths = pyarrow.compute.binary_length(chunk.dictionary)
            total += pyarrow.compute.sum(lengths.take(chunk.indices)).as_py() or 0
    return total
