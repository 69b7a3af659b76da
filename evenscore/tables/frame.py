"""Tables of several libraries taken apart into columns, and put together again as the same type.

Read are numpy arrays, lists of rows, scipy sparse matrices (made dense), pandas and polars tables. Neither pandas nor polars is
imported unless a table of it is given.

Law: ``write(container, columns)`` of what ``read`` gave is a table of the same type, with the same names and dtypes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from evenscore.tables.columns import Values

LARGEST = 1e150
"""Largest number of a table: the square of a larger one is no float."""


@dataclass(frozen=True)
class Container:
    """The type of a table.

    Attributes:
        library: ``numpy``, ``list``, ``sparse``, ``pandas`` or ``polars``.
        dtype: of a numpy array or sparse matrix; empty for others, whose columns have their own.
        form: format of a sparse matrix, and whether it is an array or a matrix, such as ``csr_matrix``.
        named: whether columns have names.
    """

    library: str
    dtype: str = ""
    form: str = ""
    named: bool = False


@dataclass(frozen=True)
class Frame:
    """A table as columns.

    Attributes:
        container: what it was.
        columns: of equal length.
    """

    container: Container
    columns: tuple[Values, ...]

    def __len__(self) -> int:
        return len(self.columns[0].data) if self.columns else 0

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    def select(self, rows: NDArray[np.int64]) -> Frame:
        """The rows ``rows``, in that order."""
        parts = [Values(c.name, c.dtype, c.data[rows], c.missing[rows], c.domain, c.ordered) for c in self.columns]
        return Frame(self.container, tuple(parts))


def library_of(table: Any) -> str:
    """``pandas``, ``polars``, ``sparse``, ``numpy`` or ``list``, without importing a library that is not there already."""
    module = type(table).__module__.split(".")[0]
    if module in ("pandas", "polars") and hasattr(table, "columns"):
        return module
    if scipy.sparse.issparse(table):
        return "sparse"
    return "list" if isinstance(table, list | tuple) else "numpy"


def read_frame(table: Any) -> Frame:
    """Take a table apart.

    Raises:
        ValueError: not two-dimensional, duplicated column names, or a column of a kind that is not read here.
    """
    library = library_of(table)
    if library in ("pandas", "polars"):
        names = [str(name) for name in table.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the column name {twice[0]!r} stands twice: give every column its own name")
        read = _pandas_column if library == "pandas" else _polars_column
        series = [table.iloc[:, i] for i in range(len(names))] if library == "pandas" else table.get_columns()
        columns = tuple(read(name, one) for name, one in zip(names, series, strict=True))
        return Frame(Container(library, named=True), columns)
    if library == "sparse":
        form = f"{table.format}_{'array' if isinstance(table, scipy.sparse.sparray) else 'matrix'}"
        return _array_frame(table.toarray(), Container("sparse", str(table.dtype), form))
    array = np.asarray(table)
    return _array_frame(array, Container(library, str(array.dtype)))


def _array_frame(array: NDArray[Any], container: Container) -> Frame:
    if array.ndim != 2:
        raise ValueError(f"Expected 2D array, got {array.ndim}D array instead: give a table of rows and columns")
    columns = [_plain(f"x{i}", str(array.dtype), array[:, i]) for i in range(array.shape[1])]
    return Frame(container, tuple(columns))


def _plain(name: str, dtype: str, data: NDArray[Any]) -> Values:
    """A column of a numpy array of any dtype.

    Raises:
        ValueError: complex numbers, dates, or numbers mixed with text.
        TypeError: values that are neither numbers nor text.
    """
    kind = data.dtype.kind
    if kind == "c":
        raise ValueError(f"Complex data not supported: column {name!r} holds complex numbers, give real ones")
    if kind in "Mm":
        raise ValueError(f"column {name!r} holds dates or durations: turn them into numbers first")
    if kind == "f":
        wide = data.astype(np.float64)
        _refuse_infinite(name, wide)
        return Values(name, dtype, wide, np.isnan(wide))
    if kind in "iu":
        return Values(name, dtype, data.astype(np.int64), np.zeros(len(data), bool))
    if kind == "b":
        return Values(name, dtype, data.astype(bool), np.zeros(len(data), bool))
    if kind in "US":
        return Values(name, dtype, data.astype(str).astype(object), np.zeros(len(data), bool))
    return _objects(name, dtype, data)


def _objects(name: str, dtype: str, data: NDArray[Any]) -> Values:
    """A column of Python objects: all booleans, all numbers, or all text, missing values apart."""
    missing = np.array([_gone(value) for value in data], dtype=bool)
    kinds = {_sort_of(name, value) for value in data[~missing]}
    if len(kinds) > 1 and kinds != {"number", "boolean"}:
        words = " and ".join(sorted(kinds))
        raise ValueError(f"column {name!r} mixes {words}, could not convert string to float: give one kind of value")
    if kinds == {"boolean"}:
        return Values(name, dtype, np.where(missing, False, data).astype(bool), missing)
    if kinds and kinds <= {"number", "boolean"}:
        wide = np.where(missing, np.nan, data).astype(np.float64)
        _refuse_infinite(name, wide)
        return Values(name, dtype, wide, missing)
    return Values(name, dtype, np.where(missing, "", data).astype(object), missing)


def _gone(value: Any) -> bool:
    """Whether an object stands for a missing value: None, NaN, or pandas' NA."""
    return (
        value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)
    )


def _sort_of(name: str, value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "boolean"
    if isinstance(value, int | float | np.integer | np.floating):
        return "number"
    if isinstance(value, complex | np.complexfloating):
        raise ValueError(f"Complex data not supported: column {name!r} holds complex numbers, give real ones")
    if isinstance(value, str):
        return "text"
    raise TypeError(
        f"column {name!r} holds a {type(value).__name__}: an argument must be a string or a number, a boolean or missing"
    )


def _refuse_infinite(name: str, data: NDArray[np.float64]) -> None:
    if np.isinf(data).any():
        raise ValueError(f"Input X contains infinity in column {name!r}: remove these rows, or replace the values")
    if (np.abs(data) > LARGEST).any():
        raise ValueError(f"Input X contains numbers beyond {LARGEST:g} in column {name!r}: give it in a larger unit")


def _pandas_column(name: str, series: Any) -> Values:
    import pandas as pd

    dtype = series.dtype
    if isinstance(dtype, pd.SparseDtype):
        dense = _pandas_column(name, series.sparse.to_dense())
        return Values(name, str(dtype), dense.data, dense.missing)
    if isinstance(dtype, pd.CategoricalDtype):
        domain = tuple(dtype.categories.tolist())
        missing = series.isna().to_numpy()
        data = np.empty(len(series), dtype=object)
        data[:] = series.tolist()
        return Values(name, "category", data, missing, domain, bool(dtype.ordered))
    if pd.api.types.is_datetime64_any_dtype(dtype) or pd.api.types.is_timedelta64_dtype(dtype):
        raise ValueError(f"column {name!r} holds dates or durations: turn them into numbers first")
    if isinstance(dtype, np.dtype):
        return _plain(name, str(dtype), series.to_numpy())
    missing = series.isna().to_numpy(dtype=bool)
    if pd.api.types.is_bool_dtype(dtype):
        return Values(name, str(dtype), series.fillna(False).to_numpy(dtype=bool), missing)
    if pd.api.types.is_numeric_dtype(dtype):
        wide = series.to_numpy(dtype=np.float64, na_value=np.nan)
        _refuse_infinite(name, wide)
        return Values(name, str(dtype), wide, missing)
    return _objects(name, str(dtype), series.astype(object).to_numpy())


def _polars_column(name: str, series: Any) -> Values:
    import polars as pl

    dtype = series.dtype
    missing = series.is_null().to_numpy()
    if dtype == pl.Boolean:
        return Values(name, str(dtype), series.fill_null(False).to_numpy().astype(bool), missing)
    if dtype.is_numeric():
        wide = series.cast(pl.Float64).to_numpy().astype(np.float64)
        _refuse_infinite(name, wide)
        return Values(name, str(dtype), wide, missing | np.isnan(wide))
    if dtype in (pl.String, pl.Categorical) or isinstance(dtype, pl.Enum):
        data = np.array(series.cast(pl.String).fill_null("").to_list(), dtype=object)
        domain = tuple(dtype.categories.to_list()) if isinstance(dtype, pl.Enum) else None
        word = "Enum" if isinstance(dtype, pl.Enum) else str(dtype).split("(")[0]
        return Values(name, word, data, missing, domain)
    raise ValueError(f"column {name!r} has the dtype {dtype}: give numbers, booleans or text")


def write_frame(container: Container, columns: Sequence[Values]) -> Any:
    """Put columns together as a table of the type ``container``."""
    if container.library == "pandas":
        import pandas as pd

        return pd.DataFrame({column.name: _to_pandas(column) for column in columns})
    if container.library == "polars":
        import polars as pl

        return pl.DataFrame([_to_polars(column) for column in columns])
    array = _to_array(columns, container.dtype)
    if container.library == "sparse":
        return getattr(scipy.sparse, container.form)(array)
    return array.tolist() if container.library == "list" else array


def _to_array(columns: Sequence[Values], dtype: str) -> NDArray[Any]:
    chosen = np.dtype(dtype)
    array = np.empty((len(columns[0].data), len(columns)), dtype=chosen)
    for i, column in enumerate(columns):
        filler: Any = np.nan if column.data.dtype.kind in "fi" or chosen.kind == "f" else None
        array[:, i] = np.where(column.missing, filler, column.data) if column.missing.any() else column.data
    return array


def _to_pandas(column: Values) -> Any:
    import pandas as pd

    if column.dtype == "category":
        return pd.Series(
            pd.Categorical(_with_none(column), categories=list(column.domain or ()), ordered=column.ordered)
        )
    if column.data.dtype != object and not column.missing.any():
        return pd.Series(column.data).astype(_pandas_dtype(column.dtype))
    data = column.data.astype(object)
    numeric = column.data.dtype.kind in "fi" and column.dtype[:1].islower()
    data[column.missing] = np.nan if numeric or column.dtype in ("object", "str") else pd.NA
    return pd.Series(data, dtype=object).astype(_pandas_dtype(column.dtype))


def _pandas_dtype(word: str) -> Any:
    """The dtype of a word; that of a sparse column names its values and the one that is not stored."""
    import pandas as pd

    sparse = re.fullmatch(r"Sparse\[(.+), (.+)\]", word)
    if sparse is None:
        return pd.api.types.pandas_dtype(word)
    inner = np.dtype(sparse[1])
    return pd.SparseDtype(inner, sparse[2] == "True" if inner.kind == "b" else inner.type(sparse[2]))


def _to_polars(column: Values) -> Any:
    import polars as pl

    data = _with_none(column)
    if column.dtype == "Enum":
        return pl.Series(column.name, data, dtype=pl.Enum([str(level) for level in column.domain or ()]))
    dtype = getattr(pl, column.dtype)
    if dtype.is_integer():
        data = [None if value is None else int(value) for value in data]
    return pl.Series(column.name, data, dtype=dtype)


def _with_none(column: Values) -> list[Any]:
    """The values, None where they are missing."""
    return [None if gone else value for value, gone in zip(column.data.tolist(), column.missing.tolist(), strict=True)]


def stack(table: Any, more: Any) -> Any:
    """The rows of ``table`` with those of ``more``, a table of the same type, under them."""
    library = library_of(table)
    if library == "pandas":
        import pandas as pd

        return pd.concat([table.reset_index(drop=True), more.set_axis(table.columns, axis=1)], ignore_index=True)
    if library == "polars":
        import polars as pl

        return pl.concat([table, more])
    if library == "sparse":
        return scipy.sparse.vstack([table, more], format=table.format)
    return [*table, *more] if library == "list" else np.concatenate([np.asarray(table), more])
