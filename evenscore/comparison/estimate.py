"""What a comparison would take: every run with its steps and time, from costs that are measured, and nothing written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evenscore.comparison.folder import Folder
from evenscore.comparison.measuring import measure
from evenscore.comparison.plan import Choice, Planner
from evenscore.comparison.recipe import Recipe
from evenscore.comparison.running import work_of
from evenscore.comparison.settings import ComparisonConfig
from evenscore.comparison.work import prepared
from evenscore.data import Dataset


@dataclass(frozen=True)
class PlannedRun:
    """One run: in words, its optimiser steps, predicted seconds, and whether it is finished already."""

    words: str
    steps: int
    seconds: float
    finished: bool


@dataclass(frozen=True)
class Estimate:
    """What a comparison would take.

    Attributes:
        runs: every run once; the settings of those that are judged may change by what is chosen.
        costs: of a step, as a multiple of the baseline's.
        failures: sentences on methods that cannot train.
        seconds: of all runs that are not finished, divided among the workers.
    """

    runs: tuple[PlannedRun, ...]
    costs: Mapping[str, float]
    failures: tuple[str, ...]
    seconds: float

    def to_mapping(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def estimate(data: Dataset, recipes: Sequence[Recipe | str], out: Path, config: ComparisonConfig) -> Estimate:
    """Plan a comparison without writing anything; what its folder has measured is taken from there.

    Raises:
        UsageError: recipes that do not compare.
        DataError: no held-out data.
        RunError: the folder holds another comparison.
    """
    work = prepared(data, recipes, config)
    folder = Folder(out)
    folder.check(work.job)
    stages, failures = measure(work, folder, keep="nothing"), []
    while True:
        try:
            stage = next(stages)
        except StopIteration as end:
            measured = end.value
            break
        if stage.name == "failed":
            failures.append(stage.text)
    planner = Planner(work.recipes, work.config, measured)
    chosen = {(recipe.title, rule): _first(planner) for rule in planner.rules for recipe in planner.able}
    chosen |= planner.choices(folder.part)
    trials = [*planner.to_choose(), *planner.to_judge(chosen)]
    runs = tuple(PlannedRun(t.words, t.steps, work_of(t, measured), folder.has(t.name)) for t in trials)
    left = sum(run.seconds for run in runs if not run.finished)
    return Estimate(runs, measured.costs, tuple(failures), left / config.workers)


def _first(planner: Planner) -> Choice:
    """Stands for what is not chosen yet: the number of runs does not depend on it."""
    return Choice({}, planner.config.guidances[0], None)
