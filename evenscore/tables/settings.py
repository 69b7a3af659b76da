"""How columns become numbers: three choices, each by name.

Law: a name that is not known is an error that names the nearest one.
"""

from __future__ import annotations

from dataclasses import dataclass

from evenscore.records import check_name

NUMERIC = ("auto", "standard", "quantile")
CATEGORIES = ("auto", "cuts", "one-hot", "bits")
MISSING = ("pattern", "refuse")
ONE_HOT_UP_TO = 0
"""Largest number of unordered levels that ``auto`` gives a number each; more, or ordered ones, are cuts (docs/tables.md)."""


@dataclass(frozen=True)
class TableSettings:
    """How a table is encoded; checked when made.

    Attributes:
        numeric: ``standard``, ``quantile``, or ``auto``: quantiles for a column that is skewed or heavy-tailed within classes.
        categories: ``cuts``, ``one-hot``, ``bits``, or ``auto``.
        missing: ``pattern`` (kept, by an indicator or a level) or ``refuse``.

    Raises:
        UsageError: an unknown name.
    """

    numeric: str = "auto"
    categories: str = "auto"
    missing: str = "pattern"

    def __post_init__(self) -> None:
        check_name("numeric transform", self.numeric, NUMERIC)
        check_name("code of categories", self.categories, CATEGORIES)
        check_name("treatment of missing values", self.missing, MISSING)

    def code(self, levels: int, ordered: bool) -> str:
        """The code of a column with so many levels."""
        if self.categories == "auto":
            return "one-hot" if 2 < levels <= ONE_HOT_UP_TO and not ordered else "cuts"
        return self.categories
