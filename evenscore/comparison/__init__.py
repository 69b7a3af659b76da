"""Comparison of training methods: equal compute and equal updates, paired seeds, a common grid, intervals, and in words."""

from __future__ import annotations

from evenscore.comparison.budget import Budget, read_budget
from evenscore.comparison.job import compare
from evenscore.comparison.judge import HeldOutJudge, Judge, Judgement
from evenscore.comparison.progress import Stage
from evenscore.comparison.recipe import Recipe, read_recipe
from evenscore.comparison.settings import ComparisonConfig

__all__ = [
    "Budget",
    "ComparisonConfig",
    "HeldOutJudge",
    "Judge",
    "Judgement",
    "Recipe",
    "Stage",
    "compare",
    "read_budget",
    "read_recipe",
]
