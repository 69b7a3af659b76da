"""What a comparison is asked: budget, seeds, what is equal, what all methods share, and how they are judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evenscore import records
from evenscore.comparison.budget import Budget
from evenscore.comparison.grid import Grid, check_grid
from evenscore.evaluation import Settings
from evenscore.sampling import DEFAULT, Sampler

COMPUTE, UPDATES = "compute", "updates"
RULES: Mapping[str, tuple[str, ...]] = {"compute": (COMPUTE,), "updates": (UPDATES,), "both": (COMPUTE, UPDATES)}
"""What ``equal`` may be, and the sections that it gives."""
MOST_SEEDS = 1000
CHOOSING_SEED = 1_000_000
"""Seed of the runs that choose; no judged run has it."""


@dataclass(frozen=True)
class ComparisonConfig:
    """How to compare; checked when made.

    Attributes:
        budget: of one run of the baseline.
        seeds: how many paired seeds are judged, numbered from 0.
        baseline: title of a recipe, or a recipe that is added.
        equal: ``compute``, ``updates`` or ``both``.
        common: settings of training for all methods; they go over those of a recipe.
        grid: settings that every method chooses from.
        guidance_grid: guidance scales that every method chooses from; empty for that of the sampler.
        sampler: of all samples.
        per_class: samples of each class that are judged.
        evaluation: features, measures and groups.
        workers: processes, one thread each; with 1 everything is computed in this process.
        keep_runs: keep the folders of judged runs.

    Raises:
        UsageError: a value outside its range.
    """

    budget: Budget
    seeds: int = 3
    baseline: str = "plain"
    equal: str = "both"
    common: Mapping[str, Any] = field(default_factory=dict)
    grid: Grid = field(default_factory=dict)
    guidance_grid: tuple[float, ...] = ()
    sampler: Sampler = DEFAULT
    per_class: int = 100
    evaluation: Settings = field(default_factory=Settings)
    workers: int = 1
    keep_runs: bool = False

    def __post_init__(self) -> None:
        records.check("seeds", self.seeds, 1 <= self.seeds <= MOST_SEEDS, f"between 1 and {MOST_SEEDS}")
        records.check("per-class", self.per_class, self.per_class >= 1, "at least 1")
        records.check("workers", self.workers, self.workers >= 1, "at least 1")
        part = self.evaluation.part
        records.check("reference part", part, part in (None, "test"), "test: what was trained on does not judge")
        records.check_name("rule of equality", self.equal, RULES)
        for key in ("steps", "minutes", "seed"):
            records.check(key, self.common.get(key), key not in self.common, "left to the comparison")
        check_grid(self.grid)
        for scale in self.guidance_grid:
            self.at(scale)

    @property
    def guidances(self) -> tuple[float, ...]:
        """The scales that every method chooses from."""
        return self.guidance_grid or (self.sampler.guidance,)

    @property
    def chooses(self) -> bool:
        """Whether there is anything to choose."""
        return bool(self.grid) or len(self.guidances) > 1

    def at(self, guidance: float) -> Sampler:
        """The sampler at a guidance scale."""
        return self.sampler.at(guidance)
