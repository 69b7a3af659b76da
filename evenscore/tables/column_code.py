"""One column as real numbers: its transform or code, and an indicator of missing values where there were any.

Law: ``decode(encode(column))`` is the column up to rounding, missing values at the same places; whatever real numbers
are decoded, the kind, levels and bounds of the column are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenscore.tables.columns import Column, Values, indices_of
from evenscore.tables.levels import Bits, Cuts, LevelCode, OneHot
from evenscore.tables.numeric import Quantile, Standard

Reals = NDArray[np.float64]
PARTS: Mapping[str, Any] = {
    "standard": Standard,
    "quantile": Quantile,
    "cuts": Cuts,
    "one-hot": OneHot,
    "bits": Bits,
}


@dataclass(frozen=True)
class ColumnCode:
    """How one column is encoded.

    Attributes:
        column: what is known of it.
        number: of a numeric or integer column without levels, else None.
        levels: of a column with levels, else None; a constant column has neither.
        indicator: of missing values in a column with a transform, else None.
        fill: encoded value where a value is missing and none is drawn.
    """

    column: Column
    number: Standard | Quantile | None = None
    levels: LevelCode | None = None
    indicator: Cuts | None = None
    fill: float = 0.0

    @property
    def width(self) -> int:
        """Real numbers of a value."""
        if self.levels is not None:
            return self.levels.width
        return 0 if self.number is None else 1 + (self.indicator is not None)

    @property
    def dense(self) -> bool:
        """Whether the column has a density: real numbers, none missing, no value that is found often."""
        smooth = isinstance(self.number, Standard) or (isinstance(self.number, Quantile) and self.number.smooth)
        return self.column.kind == "numeric" and smooth and self.indicator is None

    def encode(self, values: Values, u: Reals | None) -> Reals:
        """(N, width) numbers.

        Args:
            values: the column.
            u: (N, 2) uniform draws that spread levels and fill missing values; None for the middle.

        Raises:
            ValueError: values that the column cannot hold.
        """
        column, what = self.column, f"column {self.column.name!r}"
        if self.levels is not None:
            return self.levels.encode(
                indices_of(_as(column, values), column.levels, what), None if u is None else u[:, 0]
            )
        if self.number is None:
            return np.zeros((len(values.data), 0))
        x = numbers(values, what)
        if values.missing.any() and self.indicator is None:
            raise ValueError(
                f"Input X contains NaN: {what} misses values, which it did not when it was fitted; fill them in first"
            )
        x = np.where(values.missing, 0.0, x)
        z = self.number.encode(x, None if u is None else u[:, 0])
        if self.indicator is None:
            return z[:, None]
        drawn = self.fill if u is None else _drawn(z[~values.missing], u[:, 1], self.fill)
        z = np.where(values.missing, drawn, z)
        flag = self.indicator.encode(values.missing.astype(np.int64), None if u is None else u[:, 1])
        return np.column_stack([z, flag])

    def decode(self, z: Reals, count: int) -> Values:
        """The column of (N, width) numbers."""
        column = self.column
        missing = np.zeros(count, dtype=bool)
        if self.levels is None and self.number is None:
            return self._of_levels(np.zeros(count, dtype=np.int64))
        if self.levels is not None:
            return self._of_levels(self.levels.decode(z))
        assert self.number is not None
        x = self.number.decode(z[:, 0])
        if column.kind == "integer":
            x = np.rint(x)
        x = np.clip(x, column.low, column.high)
        if self.indicator is not None:
            missing = self.indicator.decode(z[:, 1:]).astype(bool)
        return self._values(x, missing)

    def _of_levels(self, places: NDArray[np.int64]) -> Values:
        """The column of level numbers."""
        levels = self.column.levels
        missing = np.array([level is None for level in levels])[places]
        plain = next((level for level in levels if level is not None), None)
        table = np.empty(len(levels), dtype=object)
        table[:] = [plain if level is None else level for level in levels]
        kind = bool if isinstance(plain, bool) else float if isinstance(plain, int | float) else object
        data = table[places]
        return self._values(data.astype(kind) if plain is not None else data, missing)

    def _values(self, data: NDArray[Any], missing: NDArray[np.bool_]) -> Values:
        column = self.column
        return Values(column.name, column.dtype, data, missing, column.domain, column.ordered)

    def to_mapping(self) -> dict[str, Any]:
        """Plain values."""
        parts = {"number": self.number, "levels": self.levels, "indicator": self.indicator}
        return {"column": asdict(self.column), "fill": self.fill, **{key: _write(part) for key, part in parts.items()}}

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> ColumnCode:
        """What :meth:`to_mapping` gave."""
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given["column"].items()}
        column = Column(**fields)
        parts = {key: _read(given[key]) for key in ("number", "levels", "indicator")}
        return cls(column, fill=given["fill"], **parts)


def numbers(values: Values, what: str) -> Reals:
    """The numbers (N,) of a column, NaN where missing.

    Raises:
        ValueError: it holds text.
    """
    if values.data.dtype == object:
        first = next((v for v, gone in zip(values.data, values.missing, strict=True) if not gone), "")
        raise ValueError(f"could not convert string to float: {first!r} in {what}, which holds numbers; give numbers")
    return np.where(values.missing, np.nan, values.data.astype(np.float64))


def _as(column: Column, values: Values) -> Values:
    """A column of levels read with the kind it was fitted with: numbers where the levels are numbers."""
    plain = next((level for level in column.levels if level is not None), None)
    if isinstance(plain, str) or values.data.dtype == object:
        return values
    data = values.data.astype(bool) if isinstance(plain, bool) else values.data.astype(np.float64)
    return Values(values.name, values.dtype, data, values.missing, values.domain, values.ordered)


def _drawn(known: Reals, u: Reals, fill: float) -> Reals:
    """(N,) values drawn from the known ones by uniform numbers."""
    if not len(known):
        return np.full(len(u), fill)
    place = (u * len(known)).astype(np.int64).clip(0, len(known) - 1)
    return np.asarray(np.sort(known)[place])


def _write(part: Any) -> dict[str, Any] | None:
    if part is None:
        return None
    name = next(key for key, kind in PARTS.items() if type(part) is kind)
    return {"code": name, **asdict(part)}


def _read(given: Mapping[str, Any] | None) -> Any:
    if given is None:
        return None
    fields = {key: tuple(v) if isinstance(v, list) else v for key, v in given.items() if key != "code"}
    return PARTS[given["code"]](**fields)
