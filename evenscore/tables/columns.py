"""What is known of one column of a table: its kind, its name and dtype, its levels and bounds, whether values are missing.

Law: the kind is read from all rows of the column at once and says what may come back: a ``numeric`` column gives reals within
its bounds, an ``integer`` column whole numbers within them, a ``boolean`` or ``categorical`` column its observed
levels only, and a ``constant`` column its one value. A column of a few whole numbers (at most :data:`FEW`, each found
often) gives those only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Level: TypeAlias = str | int | float | bool | None
KINDS = ("numeric", "integer", "boolean", "categorical", "constant")
FEW = 20
"""Whole numbers of a column that are taken as levels in order, where each stands :data:`OFTEN` times on average."""
OFTEN = 5


@dataclass(frozen=True)
class Values:
    """One column as it was read.

    Attributes:
        name: of the column, as text.
        dtype: in the words of the library that it came from.
        data: (N,) float64, int64, bool or object (text); anything where ``missing``.
        missing: (N,) true where there is no value.
        domain: all levels that the dtype allows, for a categorical dtype; else None.
        ordered: whether the dtype orders them.
    """

    name: str
    dtype: str
    data: NDArray[Any]
    missing: NDArray[np.bool_]
    domain: tuple[Level, ...] | None = None
    ordered: bool = False


@dataclass(frozen=True)
class Column:
    """What is known of a column.

    Attributes:
        name: as text.
        kind: one of :data:`KINDS`.
        dtype: in the words of the library that it came from.
        levels: the observed levels, in order of value; of ``boolean``, ``categorical`` and ``constant`` columns, and of integer
            columns with few values; None among them stands for a missing value.
        low: smallest observed value of a numeric or integer column.
        high: its largest.
        missing: whether values of a numeric or integer column were missing.
        domain: all levels that a categorical dtype allows.
        ordered: whether that dtype orders them.
    """

    name: str
    kind: str
    dtype: str
    levels: tuple[Level, ...] = ()
    low: float = 0.0
    high: float = 0.0
    missing: bool = False
    domain: tuple[Level, ...] | None = None
    ordered: bool = False

    @classmethod
    def of(cls, values: Values) -> Column:
        """What the rows of a column say."""
        base = (values.name, values.dtype)
        extra: dict[str, Any] = {"domain": values.domain, "ordered": values.ordered}
        levels = observed(values)
        if len(levels) <= 1:
            return cls(base[0], "constant", base[1], levels or (None,), **extra)
        if values.data.dtype.kind not in "fi":
            kind = "boolean" if values.data.dtype.kind == "b" else "categorical"
            return cls(base[0], kind, base[1], levels, **extra)
        seen = values.data[~values.missing]
        whole = bool((seen == np.rint(seen)).all())
        number = len(levels) - (None in levels)
        few = whole and number <= min(FEW, max(2, len(seen) // OFTEN))
        kept = levels if few else ()
        kind = "integer" if whole else "numeric"
        missing = bool(values.missing.any())
        return cls(base[0], kind, base[1], kept, float(seen.min()), float(seen.max()), missing, **extra)


def observed(values: Values) -> tuple[Level, ...]:
    """The distinct values of a column in order of value, None last where values are missing; plain Python values."""
    seen = values.data[~values.missing]
    found: list[Any]
    if values.data.dtype == object:
        found = sorted(set(seen.tolist()), key=str)
        if values.domain is not None:
            order = {level: place for place, level in enumerate(values.domain)}
            found.sort(key=lambda level: order[level])
    else:
        found = np.unique(seen).tolist()
    return (*found, None) if values.missing.any() else tuple(found)


def indices_of(values: Values, levels: Sequence[Level], what: str) -> NDArray[np.int64]:
    """The place (N,) of each value among ``levels``.

    Raises:
        ValueError: a value that is not among them.
    """
    place = {level: i for i, level in enumerate(levels)}
    plain = [None if gone else value for value, gone in zip(values.data.tolist(), values.missing.tolist(), strict=True)]
    found = np.array([place.get(value, -1) for value in plain], dtype=np.int64)
    if (found < 0).any():
        stranger = plain[int(np.argmin(found))]
        raise ValueError(
            f"{what} holds {stranger!r}, which was not among its {len(levels)} values when it was fitted: "
            "leave such rows out, or fit on a table that has them"
        )
    return found
