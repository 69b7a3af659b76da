"""A table as vectors of real numbers, and vectors as a table of the same type.

Law: encoding is fitted on one table and then fixed; decoding any finite vectors gives a table with the names, dtypes,
levels and bounds of the fitted one. Spread levels and missing values are drawn from the seed; without one, middles
are taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evenscore.random import generator
from evenscore.tables.column_code import ColumnCode, numbers
from evenscore.tables.columns import Column, Values, indices_of
from evenscore.tables.frame import Container, Frame, write_frame
from evenscore.tables.levels import Bits, Cuts, LevelCode, OneHot
from evenscore.tables.numeric import Quantile, Standard, far_from_normal
from evenscore.tables.settings import TableSettings

Reals = NDArray[np.float64]
PULL = 5.0
"""Rows that the overall mean counts for when unordered levels are put in order."""


@dataclass(frozen=True)
class TableCode:
    """How a table is encoded.

    Attributes:
        container: the type of the table.
        codes: of its columns, in order.
    """

    container: Container
    codes: tuple[ColumnCode, ...]

    @classmethod
    def fit(cls, frame: Frame, labels: NDArray[np.int64], settings: TableSettings) -> TableCode:
        """Look at a table.

        Args:
            frame: the table.
            labels: (N,) classes, by which transforms and orders of levels are chosen.
            settings: how to encode.

        Raises:
            ValueError: missing values where they are refused.
        """
        if settings.missing == "refuse":
            for values in frame.columns:
                if values.missing.any():
                    raise ValueError(
                        f"Input X contains NaN: column {values.name!r} misses values; fill them in, or use missing='pattern'"
                    )
        features = _features(frame, labels)
        codes = [_fit_column(values, labels, features, settings) for values in frame.columns]
        return cls(frame.container, tuple(codes))

    @property
    def width(self) -> int:
        """Numbers of a row, at least 1: a table of constants has one empty number."""
        return max(1, sum(code.width for code in self.codes))

    @property
    def without_density(self) -> tuple[str, ...]:
        """Names of the columns that have no density."""
        return tuple(code.column.name for code in self.codes if not code.dense)

    def encode(self, frame: Frame, seed: int | None = None) -> Reals:
        """(N, width) numbers of a table.

        Args:
            frame: the table; its columns are those of the fitted one.
            seed: of what is drawn; None for middles.

        Raises:
            ValueError: other columns, or values that a column cannot hold.
        """
        self._check(frame)
        rows, parts = len(frame), []
        for place, (code, values) in enumerate(zip(self.codes, frame.columns, strict=True)):
            u = None if seed is None else _uniform(rows, seed, place)
            parts.append(code.encode(values, u))
        z = np.concatenate(parts, axis=1) if parts else np.zeros((rows, 0))
        return z if z.shape[1] else np.zeros((rows, 1))

    def decode(self, z: Reals) -> Any:
        """The table of (N, width) numbers, of the type that was fitted."""
        columns, at = [], 0
        for code in self.codes:
            columns.append(code.decode(z[:, at : at + code.width], len(z)))
            at += code.width
        return write_frame(self.container, columns)

    def log_slope(self, frame: Frame) -> Reals:
        """Log of the absolute Jacobian determinant (N,) of the encoding, of columns that all have densities."""
        total = np.zeros(len(frame))
        for code, values in zip(self.codes, frame.columns, strict=True):
            if code.number is not None:
                total += code.number.log_slope(numbers(values, code.column.name))
        return total

    def _check(self, frame: Frame) -> None:
        mine = tuple(code.column.name for code in self.codes)
        if len(frame.columns) != len(mine):
            raise ValueError(
                f"X has {len(frame.columns)} features, but {len(mine)} columns were fitted: give the same columns"
            )
        if frame.container.named and self.container.named and frame.names != mine:
            other = next(a for a, b in zip(frame.names, mine, strict=True) if a != b)
            raise ValueError(f"column {other!r} does not stand where it did when fitted: give the columns {list(mine)}")

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, for a JSON file."""
        return {"container": asdict(self.container), "columns": [code.to_mapping() for code in self.codes]}

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> TableCode:
        """What :meth:`to_mapping` gave."""
        return cls(Container(**given["container"]), tuple(ColumnCode.from_mapping(c) for c in given["columns"]))


def _uniform(rows: int, seed: int, place: int) -> Reals:
    """(N, 2) uniform numbers of a column, inside (0, 1)."""
    drawn = torch.rand(rows, 2, generator=generator(seed, "spread", place), dtype=torch.float64)
    return np.asarray(drawn.numpy()).clip(1e-9, 1 - 1e-9)


def _fit_column(values: Values, labels: NDArray[np.int64], features: Reals, settings: TableSettings) -> ColumnCode:
    column = Column.of(values)
    if column.kind == "constant":
        return ColumnCode(column)
    if column.levels:
        return ColumnCode(column, levels=_fit_levels(column, values, features, settings))
    seen = ~values.missing
    x = values.data[seen].astype(np.float64)
    quantile = settings.numeric == "quantile" or (settings.numeric == "auto" and far_from_normal(x, labels[seen]))
    number = Quantile.fit(x) if quantile else Standard.fit(x)
    middle = float(np.median(number.encode(x)))
    indicator = Cuts.fit(values.missing.astype(np.int64), (0, 1)) if column.missing else None
    return ColumnCode(column, number, indicator=indicator, fill=middle)


def _fit_levels(column: Column, values: Values, features: Reals, settings: TableSettings) -> LevelCode:
    places = indices_of(values, column.levels, column.name)
    ordered = column.ordered or column.kind != "categorical"
    chosen = settings.code(len(column.levels), ordered)
    if chosen == "one-hot":
        return OneHot(len(column.levels))
    counts = np.bincount(places, minlength=len(column.levels))
    if chosen == "bits":
        return Bits(tuple(int(i) for i in np.argsort(-counts, kind="stable")))
    natural = tuple(range(len(column.levels)))
    return Cuts.fit(places, natural if ordered else _most_apart(places, counts, features))


def _most_apart(places: NDArray[np.int64], counts: NDArray[np.int64], features: Reals) -> tuple[int, ...]:
    """Level numbers in their order on the direction of the features in which they lie farthest apart.

    The direction is the leading eigenvector of the covariance between level means, those of small levels pulled to the
    middle.

    Args:
        places: (N,) level numbers.
        counts: (L,) rows of each level.
        features: (N, F) of mean 0 and spread 1.
    """
    sums = np.stack([np.bincount(places, feature, minlength=len(counts)) for feature in features.T], axis=1)
    means = sums / (counts + PULL)[:, None]
    _, directions = np.linalg.eigh(means.T @ (counts[:, None] * means))
    lead = directions[:, -1]
    score = means @ (lead * np.sign(lead[np.argmax(np.abs(lead))]))
    return tuple(int(i) for i in np.lexsort((-counts, score)))


def _features(frame: Frame, labels: NDArray[np.int64]) -> Reals:
    """(N, F) features by which unordered levels are put in order: classes, and numbers and their squares, standardised."""
    parts = [np.eye(int(labels.max()) + 1)[labels]]
    for values in frame.columns:
        if values.data.dtype.kind in "fi" and not values.missing.all():
            x = np.where(values.missing, np.nan, values.data.astype(np.float64))
            z = (x - np.nanmean(x)) / (np.nanstd(x) or 1.0)
            z = np.nan_to_num(z).clip(-3, 3)
            parts.append(np.stack([z, z**2], axis=1))
    table = np.concatenate(parts, axis=1)
    return np.asarray((table - table.mean(0)) / np.maximum(table.std(0), 1e-9))
