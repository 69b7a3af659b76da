"""One column at a time: shares of real and of generated rows in common bins.

Law: the shares of each side sum to 1; bins follow from both sides together. Numbers have :data:`BINS` bins of equal width at
most between the 1 % and 99 % points, the first and last of which are open; whole numbers of few values, and categories, have
one bin each, the rarest categories together. What is missing is a bin of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenscore.evaluation.table_columns import Columns

BINS = 20
MOST_LEVELS = 12
REST, MISSING = "all others", "missing"
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Marginal:
    """A column of real and generated rows.

    Attributes:
        name: of the column.
        bins: what each bin holds, in words.
        real: share of the real rows in each bin.
        made: share of the generated rows.
    """

    name: str
    bins: tuple[str, ...]
    real: tuple[float, ...]
    made: tuple[float, ...]

    @property
    def distance(self) -> float:
        """Total variation: the share of rows that stand in another bin, from 0 to 1."""
        return sum(abs(r - m) for r, m in zip(self.real, self.made, strict=True)) / 2


def marginals(real: Any, made: Any, columns: Columns) -> tuple[Marginal, ...]:
    """Every column of two data frames, each with at least one row."""
    return tuple(_marginal(real, made, columns, name) for name in columns.names)


def _marginal(real: Any, made: Any, columns: Columns, name: str) -> Marginal:
    sides = [columns.numbers(frame, name) for frame in (real, made)]
    if name in columns.categorical:
        words, coded = _levels(sides, columns.categorical[name])
    else:
        words, coded = numeric_bins(name, *sides, whole="whole" if name in columns.integers else "real")
    counts = [np.bincount(codes, minlength=len(words) + 1) / max(1, len(codes)) for codes in coded]
    if any(count[-1] for count in counts):
        words = (*words, MISSING)
    return Marginal(name, words, *(tuple(count[: len(words)].tolist()) for count in counts))


def numeric_bins(name: str, *sides: Numbers, whole: str = "real") -> tuple[tuple[str, ...], list[NDArray[np.int64]]]:
    """Bins of numbers in words, and the bin of every value; NaN has the one after the last."""
    known = np.concatenate([side[np.isfinite(side)] for side in sides])
    values = np.unique(known)
    if whole == "whole" and len(values) <= BINS:
        words = tuple(f"{v:g}" for v in values)
        places = [np.searchsorted(values, side) for side in sides]
    elif len(values) < 2:
        words, places = tuple(f"{v:g}" for v in values), [np.zeros(len(side), dtype=np.int64) for side in sides]
    else:
        low, high = np.quantile(known, [0.01, 0.99])
        low, high = (low, high) if high > low else (values[0], values[-1])
        if whole == "whole":
            low, step = np.floor(low), np.ceil((np.ceil(high) - np.floor(low) + 1) / BINS)
            edges = np.arange(low, np.ceil(high) + 1 + step, step)
            words = tuple(f"{a:g} to {b - 1:g}" if step > 1 else f"{a:g}" for a, b in pairwise(edges))
        else:
            edges = np.linspace(low, high, BINS + 1)
            words = tuple(f"{a:.4g} to {b:.4g}" for a, b in pairwise(edges))
        places = [np.searchsorted(edges[1:-1], side, side="right") for side in sides]
    return words, [
        np.where(np.isfinite(side), p, len(words)).astype(np.int64) for side, p in zip(sides, places, strict=True)
    ]


def _levels(sides: list[Numbers], levels: tuple[str, ...]) -> tuple[tuple[str, ...], list[NDArray[np.int64]]]:
    """The most frequent categories, then all others together."""
    counts = np.zeros(len(levels) + 1)
    for side in sides:
        known = side[np.isfinite(side)].astype(np.int64)
        counts += np.bincount(known, minlength=len(counts)) / max(1, len(side))
    order = np.argsort(-counts, kind="stable")
    most = MOST_LEVELS if (counts > 0).sum() > MOST_LEVELS else int((counts > 0).sum())
    kept = [int(code) for code in order[:most]]
    place = np.full(len(counts), most)
    place[kept] = np.arange(most)
    rest = bool(counts[order[most:]].any())
    words = (*((*levels, REST)[code] for code in kept), *((REST,) if rest else ()))
    coded = [
        np.where(np.isfinite(side), place[np.nan_to_num(side).astype(np.int64)], len(words)).astype(np.int64)
        for side in sides
    ]
    return words, coded
