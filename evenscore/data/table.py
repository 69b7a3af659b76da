"""Tables in files: comma- or tab-separated text and parquet in, the same kind out with more rows and a mark.

Law: what stood in the file stands in the output, row for row and value for value: of text the very characters of each
field, of parquet the very columns with their types. Rows that are added follow, and one last column says which they are.
A file that expands far beyond its size is refused before it is read.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenscore.data.expansion import check_expansion
from evenscore.errors import DataError, UsageError, shown, unknown
from evenscore.reading import read_bytes

TEXT = {".csv": ",", ".tsv": "\t"}
PARQUET = (".parquet", ".pq")
SUFFIXES = (*TEXT, *PARQUET)
MARK = "synthetic"
"""Name of the column that says whether a row was generated."""
MOST_COLUMNS = 10_000
"""Columns of a table, at most: some measures hold a number for each pair of them."""
PADDED = re.compile(r"[+-]?0[0-9]")
"""A number that text pads with zeros is a code, not a number: 00501."""


def is_table(name: str | Path) -> bool:
    """Whether a path is named like a table."""
    return Path(name).suffix.lower() in SUFFIXES


@dataclass(frozen=True, eq=False)
class TableFile:
    """A table that was read.

    Attributes:
        path: of the file.
        frame: pandas data frame (n, d), every column in its type.
        source: the same as it stood in the file: a list of records of text with the header first, or a pyarrow table.
        separator: between fields; empty for parquet.
        newline: between records.
    """

    path: Path
    frame: Any
    source: Any
    separator: str = ""
    newline: str = "\n"

    def check_suffix(self, suffix: str) -> None:
        """Refuse an output of another kind: text becomes text, parquet becomes parquet.

        Raises:
            UsageError: another kind.
        """
        if (suffix.lower() in PARQUET) != (self.separator == ""):
            raise UsageError(
                f"a {self.path.suffix} table becomes a {self.path.suffix} table: end --out with {self.path.suffix}, "
                f"not {suffix or 'nothing'}"
            )

    def content(self, made: Any, suffix: str) -> bytes:
        """The table with the rows of ``made`` (a data frame with the same columns) below and the mark at the right.

        Args:
            made: generated rows.
            suffix: that of the file they go to.

        Raises:
            UsageError: another kind of file than the source.
        """
        self.check_suffix(suffix)
        if not self.separator:
            return _parquet(self.source, made)
        separator = self.separator if suffix.lower() == self.path.suffix.lower() else TEXT[suffix.lower()]
        return self._text(made, separator)

    def _text(self, made: Any, separator: str) -> bytes:
        header, *records = self.source
        written = io.StringIO()
        writer = csv.writer(written, delimiter=separator, lineterminator=self.newline)
        writer.writerow([*header, MARK])
        writer.writerows([*record, "false"] for record in records)
        columns = [_words(made[name], self.frame[name], [r[i] for r in records]) for i, name in enumerate(header)]
        writer.writerows([*record, "true"] for record in zip(*columns, strict=True))
        return written.getvalue().encode()


def read_table(path: Path) -> TableFile:
    """Read a table.

    Raises:
        UsageError: the name ends in no known suffix.
        DataError: it is not there, no regular file, empty, damaged, too wide, far larger than the file that holds it, or
            pandas (for parquet also pyarrow) is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise unknown("kind of table", suffix or str(path), SUFFIXES)
    _needed("pandas")
    try:
        content = read_bytes(path)
    except OSError as error:
        raise DataError(f"table {path} cannot be read ({error.strerror}): give an existing file") from None
    if not content.strip():
        raise DataError(f"table {path} is empty: give a header and one row for each sample")
    found = _read_parquet(path, content) if suffix in PARQUET else _read_text(path, content)
    _check(found)
    return found


def _read_text(path: Path, content: bytes) -> TableFile:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"table {path} is not UTF-8 text: save it as UTF-8") from None
    first = text.split("\n", 1)[0]
    separator = TEXT[path.suffix.lower()]
    separator = ";" if separator == "," and "," not in first and ";" in first else separator
    records = _records(path, text, separator)
    header = records[0]
    _check_columns(path, header)
    newline = "\r\n" if first.endswith("\r") else "\n"
    return TableFile(path, _typed(records), records, separator, newline)


def _records(path: Path, text: str, separator: str) -> list[list[str]]:
    """The fields of every record, the header first; records without a character are no records."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    records: list[list[str]] = []
    try:
        for record in reader:
            if not record:
                continue
            if records and len(record) != len(records[0]):
                raise DataError(
                    f"table {path}, line {reader.line_num}: {len(record)} fields where the header has "
                    f"{len(records[0])}: give every row as many as the header"
                )
            records.append(record)
    except csv.Error as error:
        raise DataError(f"table {path}, line {reader.line_num}, cannot be read ({error}): correct that line") from None
    return records


def _typed(records: list[list[str]]) -> Any:
    """The columns in their types, as pandas finds them, but codes with leading zeros stay text."""
    import pandas

    header = records[0]
    codes = {i: str for i in range(len(header)) if any(PADDED.match(record[i].strip()) for record in records[1:])}
    written = io.StringIO(newline="")
    csv.writer(written).writerows(records)
    written.seek(0)
    settings: Mapping[str, Any] = {"index_col": False, "skip_blank_lines": False, "low_memory": False}
    frame = pandas.read_csv(written, dtype=codes, header=0, names=list(range(len(header))), **settings)
    return frame.set_axis(header, axis=1)  # pandas would rename some


def _read_parquet(path: Path, content: bytes) -> TableFile:
    _needed("pyarrow")
    import pyarrow
    import pyarrow.parquet

    try:
        schema = pyarrow.parquet.read_schema(pyarrow.BufferReader(content))
        _check_columns(path, schema.names)
        _check_types(path, schema)
        check_expansion(path, content)
        source = pyarrow.parquet.read_table(pyarrow.BufferReader(content))
        frame = source.to_pandas(ignore_metadata=True)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"table {path} cannot be read as parquet ({reason}): give a complete file") from None
    return TableFile(path, frame, source)


def _check_columns(path: Path, names: list[str]) -> None:
    """Refuse a header with a name that stands twice, or too many."""
    if len(names) > MOST_COLUMNS:
        raise DataError(f"table {path} has {len(names)} columns: give at most {MOST_COLUMNS}")
    name, count = next(iter(Counter(names).most_common(1)), ("", 0))
    if count > 1:
        raise DataError(f"table {path} names the column {shown(name)} more than once: give every column its own name")


def _check_types(path: Path, schema: Any) -> None:
    """Refuse columns of other than plain values."""
    from pyarrow import types

    for field in schema:
        if types.is_nested(field.type):
            raise DataError(
                f"table {path} has lists or records in column {shown(field.name)}: give one plain value for each row"
            )
        if types.is_binary(field.type) or types.is_large_binary(field.type) or types.is_fixed_size_binary(field.type):
            raise DataError(f"table {path} has bytes in column {shown(field.name)}: give text or numbers")


def _check(table: TableFile) -> None:
    if not len(table.frame):
        raise DataError(f"table {table.path} has a header and no rows: give one row for each sample")
    if MARK in table.frame.columns:
        raise DataError(
            f"table {table.path} has a column {MARK!r} already, which is to mark generated rows: rename it, or leave out "
            "the rows that were generated"
        )


def _words(made: Any, real: Any, text: list[str]) -> list[str]:
    """Generated values as text: in the very words of the file where the value stands there and is no number."""
    from pandas.api import types

    number = types.is_numeric_dtype(real.dtype) and not types.is_bool_dtype(real.dtype)
    missing = next((word for word, gone in zip(text, real.isna(), strict=True) if gone), "")
    known: dict[Any, str] = {}
    if not number:
        for value, word in zip(real, text, strict=True):
            known.setdefault(str(value), word)
    whole = types.is_integer_dtype(real.dtype) or not any("." in word or "e" in word.lower() for word in text)
    return [
        missing if gone else _number(value, whole) if number else known.get(str(value), str(value))
        for value, gone in zip(made, made.isna(), strict=True)
    ]


def _number(value: Any, whole: object) -> str:
    return str(int(value)) if whole and float(value).is_integer() else repr(float(value))


def _parquet(source: Any, made: Any) -> bytes:
    import pyarrow
    import pyarrow.parquet

    schema = source.schema.remove_metadata()
    whole = [f.name for f in schema if pyarrow.types.is_integer(f.type) and made[f.name].dtype.kind == "f"]
    made = made.assign(**{name: made[name].round() for name in whole})
    below = pyarrow.Table.from_pandas(made[source.column_names], schema=schema, preserve_index=False, safe=False)
    both = pyarrow.concat_tables([source, below.replace_schema_metadata(source.schema.metadata)])
    mark = pyarrow.array([False] * len(source) + [True] * len(made))
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(both.append_column(MARK, mark), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _needed(package: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise DataError(f"tables in files need {package}, which is not installed: pip install 'evenscore[tables]'")
