"""What a person asks of a table first: classes, columns, missing and repeated rows, and what to do.

Law: two rows are duplicates if and only if all their features are equal (missing equals missing); a class is judged as in
:mod:`evenscore.inspection`.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenscore.data.table_label import Labelled
from evenscore.evaluation.table_columns import Columns
from evenscore.inspection import BORDERLINE, EVEN, TOO_SMALL

MANY_LEVELS = 50


@dataclass(frozen=True)
class TableClassInfo:
    """One class: its rows, its group, and whether it is large enough to learn from."""

    name: str
    count: int
    group: str
    learnable: str


@dataclass(frozen=True)
class ColumnInfo:
    """One column: what it holds, how many different values, how many rows without one, and its range or levels."""

    name: str
    kind: str
    distinct: int
    missing: int
    values: str


@dataclass(frozen=True)
class TableInspection:
    """The answer of :func:`inspect_table`."""

    name: str
    label: str
    total: int
    imbalance: float
    classes: tuple[TableClassInfo, ...]
    columns: tuple[ColumnInfo, ...]
    duplicates_within: int
    duplicates_across: int
    advice: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def inspect_table(data: Labelled, name: str) -> TableInspection:
    """Look at a table; ``name`` is that of its file."""
    distribution = data.distribution
    rows = zip(data.names, distribution.counts, distribution.groups(), strict=True)
    classes = tuple(TableClassInfo(k, n, group, _learnable(n)) for k, n, group in rows)
    columns = Columns.of(data.X)
    infos = tuple(_column(data.X[n], n, columns) for n in columns.names)
    within, across = repeated(columns.matrix(data.X), data.y)
    found = TableInspection(name, data.label, len(data.y), distribution.imbalance, classes, infos, within, across, ())
    return TableInspection(**{**vars(found), "advice": tuple(_advice(found))})


def repeated(rows: NDArray[np.float64], y: NDArray[np.int64]) -> tuple[int, int]:
    """Rows that repeat another of their class, and rows whose features stand under several classes."""
    classes: dict[bytes, list[int]] = {}
    for row, k in zip(np.where(np.isnan(rows), np.nan, rows + 0.0), y.tolist(), strict=True):
        classes.setdefault(row.tobytes(), []).append(k)
    within = sum(len(found) - len(set(found)) for found in classes.values())
    return within, sum(len(found) for found in classes.values() if len(set(found)) > 1)


def _column(column: Any, name: str, columns: Columns) -> ColumnInfo:
    known = column.dropna()
    distinct = int(known.nunique())
    if name in columns.categorical:
        kind = "boolean" if set(columns.categorical[name]) <= {"True", "False"} else "category"
        shown = [str(value) for value in known.value_counts().index[:4]]
        values = ", ".join(shown) + (", ..." if distinct > len(shown) else "")
    else:
        kind = "whole number" if name in columns.integers else "number"
        values = f"{known.min():g} to {known.max():g}" if len(known) else ""
    return ColumnInfo(name, "constant" if distinct < 2 else kind, distinct, int(column.isna().sum()), values)


def _learnable(count: int) -> str:
    return "too small" if count < TOO_SMALL else "borderline" if count < BORDERLINE else "enough"


def _advice(seen: TableInspection) -> Sequence[str]:
    found = []
    for words, names in (
        (
            "always the same, so there is nothing to learn from it",
            [c.name for c in seen.columns if c.kind == "constant"],
        ),
        (
            f"more than {MANY_LEVELS} categories: leave out what only names the row",
            [c.name for c in seen.columns if c.kind == "category" and c.distinct > MANY_LEVELS],
        ),
        ("with missing values: the pattern is learned as it is", [c.name for c in seen.columns if c.missing]),
        (
            f"fewer than {TOO_SMALL} rows, too few to learn from; collect more or leave the class out",
            [f"class {c.name}" for c in seen.classes if c.learnable == "too small"],
        ),
        (
            f"{TOO_SMALL} to {BORDERLINE - 1} rows, borderline; look at what is made for them",
            [f"class {c.name}" for c in seen.classes if c.learnable == "borderline"],
        ),
    ):
        if names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            found.append(f"{', '.join(names[:5])}{more}: {words}")
    if seen.duplicates_across:
        found.append(
            f"{seen.duplicates_across} rows have features that stand under several classes: check their labels"
        )
    if seen.duplicates_within:
        found.append(
            f"{seen.duplicates_within} rows repeat another of their class: they make it look larger than it is"
        )
    if seen.imbalance < EVEN:
        return [*found, "the classes are about equally large: nothing to balance"]
    command = f"evenscore balance {shlex.quote(seen.name)} --label {shlex.quote(seen.label)} --out FILE"
    return [*found, f"largest class over smallest: {seen.imbalance:.4g}; to fill up: {command}"]
