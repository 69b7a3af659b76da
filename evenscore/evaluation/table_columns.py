"""The columns of a table by what can be reckoned with them, and rows as numbers.

Law: the numbers of a categorical column are codes of the levels that were seen where the columns were described, in sorted
order; a level that was not seen there has the next code, what is missing is NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Columns:
    """Names and kinds of the columns of a data frame.

    Attributes:
        names: all columns, in order.
        categorical: the levels of each column of categories (text, booleans) as text, sorted.
        integers: columns of whole numbers.
    """

    names: tuple[str, ...]
    categorical: Mapping[str, tuple[str, ...]]
    integers: frozenset[str]

    @classmethod
    def of(cls, frame: Any) -> Columns:
        """What the columns of a pandas data frame are, by their types."""
        from pandas.api import types

        names = tuple(map(str, frame.columns))
        kinds = {name: frame[name].dtype for name in names}
        numeric = {n for n, kind in kinds.items() if types.is_numeric_dtype(kind) and not types.is_bool_dtype(kind)}
        levels = {n: tuple(sorted(set(frame[n].dropna().astype(str)))) for n in names if n not in numeric}
        return cls(names, levels, frozenset(n for n in numeric if types.is_integer_dtype(kinds[n])))

    @property
    def numeric(self) -> tuple[str, ...]:
        """Columns of numbers, in order."""
        return tuple(name for name in self.names if name not in self.categorical)

    def numbers(self, frame: Any, name: str) -> Numbers:
        """A column (n,) as numbers."""
        if name not in self.categorical:
            return np.asarray(frame[name].astype("float64").to_numpy(dtype="float64", na_value=np.nan))
        levels = {level: float(code) for code, level in enumerate(self.categorical[name])}
        known = frame[name].notna().to_numpy()
        codes = np.full(len(frame), np.nan)
        codes[known] = [levels.get(value, float(len(levels))) for value in frame[name][known].astype(str)]
        return codes

    def matrix(self, frame: Any) -> Numbers:
        """All columns as numbers (n, d)."""
        return np.column_stack([self.numbers(frame, name) for name in self.names])

    def places(self) -> list[int]:
        """The positions of the categorical columns in :meth:`matrix`."""
        return [i for i, name in enumerate(self.names) if name in self.categorical]
