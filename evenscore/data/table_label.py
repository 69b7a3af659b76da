"""The label column of a table: which classes there are, and what cannot be a label.

Law: classes are in order of their values, numbers as numbers; every row has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenscore.data.table import TableFile
from evenscore.errors import DataError, UsageError, unknown
from evenscore.labels import LabelDistribution

MOST_CLASSES = 20
"""More different values than this, and more than half as many as rows, are no classes."""
LISTED = 12


@dataclass(frozen=True, eq=False)
class Labelled:
    """Features and classes of a table.

    Attributes:
        X: data frame (n, d) without the label column.
        y: class of each row (n,), from 0.
        label: name of the column.
        values: of each class, as they stand in the column.
    """

    X: Any
    y: NDArray[np.int64]
    label: str
    values: tuple[Any, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The classes as text."""
        return tuple(str(value) for value in self.values)

    @property
    def distribution(self) -> LabelDistribution:
        """Rows of each class."""
        return LabelDistribution.of(self.y.tolist(), len(self.values))

    def joined(self, X: Any, y: NDArray[np.int64], columns: list[str]) -> Any:
        """Rows of features and classes as rows of the whole table, columns in the order of ``columns``."""
        import pandas

        labels = pandas.Series([self.values[k] for k in y], index=X.index, name=self.label)
        return X.assign(**{self.label: labels})[columns]


def labelled(table: TableFile, label: str | None) -> Labelled:
    """The features and classes of a table.

    Raises:
        UsageError: no label is named, or there is no such column.
        DataError: the column has missing values, one value, or values that are no classes; or it is the only column.
    """
    names = [str(name) for name in table.frame.columns]
    if label is None:
        raise UsageError(f"{table.path} is a table: name its label column with --label, one of {_some(names)}")
    if label not in names:
        raise unknown("column", label, names)
    if len(names) == 1:
        raise DataError(f"table {table.path} has no column beside the label {label!r}: give at least one to learn from")
    column = table.frame[label]
    _check(table, column)
    values = sorted(column.unique().tolist(), key=lambda value: (isinstance(value, str), value))
    place = {value: k for k, value in enumerate(values)}
    y = np.array([place[value] for value in column.tolist()], dtype=np.int64)
    return Labelled(table.frame.drop(columns=label), y, label, tuple(values))


def _check(table: TableFile, column: Any) -> None:
    from pandas.api import types

    where = f"label column {column.name!r} of {table.path}"
    missing = np.flatnonzero(column.isna().to_numpy())
    if len(missing):
        raise DataError(
            f"{where} has no value in {len(missing)} of {len(column)} rows (the first is row {missing[0] + 1}): "
            "fill them in, or leave these rows out"
        )
    distinct = int(column.nunique())
    fractions = types.is_float_dtype(column.dtype) and bool((column % 1 != 0).any())
    if fractions or (distinct > MOST_CLASSES and distinct > len(column) / 2):
        raise DataError(
            f"{where} holds {distinct} different values in {len(column)} rows, which are no classes: give a column of few "
            "values, or cut it into ranges first"
        )
    if distinct < 2:
        raise DataError(
            f"{where} holds one class, {str(column.iloc[0])!r}: give rows of at least two, or another column"
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
