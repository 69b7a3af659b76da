"""How a run is distilled: one frozen record, whose fields are the keys of ``--set``."""

from __future__ import annotations

import math
from dataclasses import dataclass

from evenscore import records
from evenscore.distill.levels import LEVELS
from evenscore.distill.updates import UPDATES
from evenscore.errors import UsageError
from evenscore.guidance.classifier_free import check_scale
from evenscore.likelihood.divergence import DIVERGENCES

COUNTS = ("score_steps", "batch_size", "checkpoint_every")


@dataclass(frozen=True)
class DistillConfig:
    """Everything that decides what distillation computes.

    Attributes:
        method: ``kl`` or ``fisher``.
        score_steps: steps of the score network for each step of the generator.
        batch_size: samples of each step, as equal in class as they can be.
        lr: learning rate of the generator after the warm-up.
        score_lr: learning rate of the score network after the warm-up.
        warmup: generator steps of linear warm-up, of both rates.
        cooldown: last share of the budget, in which both rates fall linearly to a hundredth.
        clip: largest gradient norm of either network.
        ema: decay per step of the generator's averaged weights (lower in the first steps).
        levels: law of the noise levels at which the laws are compared.
        start: log SNR of the level at which the generator's network is asked; none for the default, by the data's spread.
        guidance: classifier-free guidance scale of the teacher.
        divergence: of the Fisher update: exact, rademacher, gaussian, or auto (exact up to 16 dimensions).
        steps: generator steps; none when the budget is in minutes.
        minutes: minutes of distillation; none when the budget is in steps.
        checkpoint_every: generator steps between checkpoints; at least one a minute is written anyway.
        previews: preview grids drawn over the whole distillation.
        seed: seed of everything random.

    Raises:
        UsageError: a value outside its range, an unknown name, or not exactly one budget.
    """

    method: str = "kl"
    score_steps: int = 5
    batch_size: int = 64
    lr: float = 2e-4
    score_lr: float = 1e-3
    warmup: int = 20
    cooldown: float = 0.4
    clip: float = 1.0
    ema: float = 0.98
    levels: str = "lognormal"
    start: float | None = None
    guidance: float = 1.0
    divergence: str = "auto"
    steps: int | None = None
    minutes: float | None = None
    checkpoint_every: int = 100
    previews: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        records.check_name("method", self.method, UPDATES)
        records.check_name("law of levels", self.levels, LEVELS)
        records.check_name("divergence", self.divergence, DIVERGENCES)
        check_scale(self.guidance, None)
        for key in COUNTS:
            records.check(key, getattr(self, key), getattr(self, key) >= 1, "at least 1")
        for key in ("lr", "score_lr", "clip"):
            records.check(key, getattr(self, key), getattr(self, key) > 0, "above 0")
        for key in ("cooldown", "ema"):
            records.check(key, getattr(self, key), 0 <= getattr(self, key) <= 1, "between 0 and 1")
        for key in ("warmup", "previews"):
            records.check(key, getattr(self, key), getattr(self, key) >= 0, "at least 0")
        if (self.steps is None) == (self.minutes is None):
            given = "both steps and minutes" if self.steps is not None else "neither steps nor minutes"
            raise UsageError(f"{given} given: set exactly one of steps=N and minutes=M")
        budget = self.steps if self.steps is not None else self.minutes
        records.check("steps" if self.steps is not None else "minutes", budget, (budget or 0) > 0, "above 0")


RATIO = 2.5
"""Noise-to-signal ratio of the default start, in units of the data's standard deviation."""


def default_start(std: float) -> float:
    """Log SNR at which a generator's network is asked by default, for data of standard deviation ``std``."""
    return -2 * math.log(RATIO * std)
