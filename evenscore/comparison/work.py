"""A comparison that was checked and can begin: everything that is wrong with a request is found before any work is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from evenscore.comparison.grid import places
from evenscore.comparison.judge import HeldOutJudge, Judge
from evenscore.comparison.recipe import Recipe, check_shared, with_baseline
from evenscore.comparison.settings import ComparisonConfig
from evenscore.data import Dataset
from evenscore.training.resolve import resolve, unmeasured


@dataclass(frozen=True, eq=False)
class Work:
    """What is compared.

    Attributes:
        data: training data.
        recipes: all methods, the baseline first.
        added: whether the baseline was added.
        config: of the comparison, with the baseline's title.
        judge: of samples.
    """

    data: Dataset
    recipes: tuple[Recipe, ...]
    added: bool
    config: ComparisonConfig
    judge: Judge

    @property
    def job(self) -> dict[str, Any]:
        """What the folder is made from, in terms of JSON."""
        config = self.config
        return {
            "data": self.data.fingerprint,
            "budget": str(config.budget),
            "baseline": config.baseline,
            "set": {key: f"{value}" for key, value in config.common.items()},
            "grid": {key: [f"{value}" for value in values] for key, values in config.grid.items()},
            **self.judge.job(),
            "recipes": {recipe.title: recipe.record(config.common) for recipe in self.recipes},
        }

    @property
    def words(self) -> str:
        """What is compared, in words."""
        titles = ", ".join(recipe.title for recipe in self.recipes[1:])
        added = " (added)" if self.added else ""
        seeds = f"{self.config.seeds} seed{'s' if self.config.seeds > 1 else ''}"
        return f"{titles} against {self.config.baseline}{added}; {seeds}; {self.config.budget} of the baseline"


def prepared(
    data: Dataset, recipes: Sequence[Recipe | str], config: ComparisonConfig, judge: Judge | None = None
) -> Work:
    """Check everything that can be checked before any work is done.

    Raises:
        UsageError: recipes that do not compare, or unknown names and values.
        DataError: no held-out data.
    """
    methods, baseline, added = with_baseline(recipes, config.baseline)
    config = replace(config, baseline=baseline)
    check_shared(methods, config.common)
    for recipe in methods:
        for place in places(config.grid):
            given = recipe.config(config.common, place)
            resolve(unmeasured(given), data)
    return Work(data, methods, added, config, judge or HeldOutJudge.of(data, config))
