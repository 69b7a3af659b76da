"""The common grid: settings from which every method, the baseline included, chooses its own.

Law: every method sees the same places, in the same order, and a place is a mapping of settings that go over its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from evenscore import records
from evenscore.comparison.recipe import DECIDED, SHARED
from evenscore.errors import UsageError

Grid = Mapping[str, tuple[Any, ...]]
Place = Mapping[str, Any]


def read_grid(texts: Sequence[str]) -> Grid:
    """``["lr=1e-3,2e-3", "dropout=0,0.1"]`` as a grid.

    Raises:
        UsageError: no values, a value or key twice, or a key that all methods share or the comparison decides.
    """
    grid: dict[str, tuple[str, ...]] = {}
    for text in texts:
        key, equals, values = text.partition("=")
        key, found = key.strip().replace("-", "_"), tuple(value.strip() for value in values.split(","))
        if not equals or not key or not all(found) or len(set(found)) < len(found) or key in grid:
            reason = "stands twice" if key in grid else "is not key=value,value,... with each value once"
            raise UsageError(f"--grid {text!r} {reason}: write for example --grid lr=1e-3,2e-3")
        grid[key] = found
    check_grid(grid)
    return grid


def check_grid(grid: Grid) -> None:
    """Refuse keys that cannot differ between methods.

    Raises:
        UsageError: there is one.
    """
    fixed = next((key for key in grid if key in (*DECIDED, *SHARED)), None)
    if fixed is not None:
        raise UsageError(
            f"--grid cannot hold {fixed}, which is the same for all methods: give --set {fixed}=... instead"
        )


def places(grid: Grid) -> list[Place]:
    """All combinations, in order; one empty place for an empty grid."""
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def shown(place: Place) -> str:
    """A place in words."""
    return ", ".join(
        f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}" for key, value in place.items()
    )


def read_guidances(text: str) -> tuple[float, ...]:
    """``"1,2"`` as guidance scales.

    Raises:
        UsageError: no number, or one twice.
    """
    found: tuple[float, ...] = records.convert("guidance-grid", text, tuple[float, ...])
    if len(set(found)) < len(found):
        raise UsageError(f"--guidance-grid {text} names a scale twice: give each once")
    return found
