"""How a model of vectors is fitted: by names and numbers, checked when made.

Law: with a budget in steps (the default) a fit is a function of the vectors, the labels, these settings and the seed. Only
``max_seconds`` lets the speed of the machine into it, by taking fewer steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from evenscore.configuration import TrainConfig
from evenscore.objectives import Denoising, Objective
from evenscore.records import check, check_name
from evenscore.sampling import Sampler

CORRECTIONS = ("auto", "always", "never")
LARGE = 100
"""Rows from which a class is large enough to judge a correction by rows that are left out."""
WORTH = 1000
"""Rows of a wanted class from which ``auto`` trains a network (docs/tables.md says what smaller classes took of one)."""
LEFT_OUT, MOST_LEFT_OUT = 0.2, 500
"""Share of a large class's rows that are left out for it, and their largest number."""
BATCH = 256
LEAST_STEPS, MOST_STEPS, EPOCHS = 600, 6000, 200
RATE = 2e-3
MANY = 200_000
"""Rows from which the network is ``small``; it is ``tiny`` below."""
NFE = 32


@dataclass(frozen=True)
class FitSettings:
    """How a model of vectors is fitted.

    Attributes:
        objective: of the network.
        correction: ``auto`` (a network is trained where a wanted class has at least :data:`WORTH` rows, and corrects
            each class of at least :data:`LARGE` as much as helps on rows left out), ``always`` (trained in any case,
            judged in the same way), or ``never``.
        network: size of the network, ``auto`` for one by the number of rows.
        steps: optimiser steps; None for as many as the number of rows asks for.
        max_seconds: seconds that training may take; None for no limit.
        guidance: classifier-free guidance scale of sampling; other than 1 it moves corrected classes only.
        run: folder in which the network is trained and kept; None for a temporary one.
        seed: of everything random.

    Raises:
        UsageError: an unknown name, or a number outside its range.
    """

    objective: Objective = field(default_factory=Denoising)
    correction: str = "auto"
    network: str = "auto"
    steps: int | None = None
    max_seconds: float | None = None
    guidance: float = 1.0
    run: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_name("correction", self.correction, CORRECTIONS)
        if self.steps is not None:
            check("steps", self.steps, self.steps >= 1, "at least 1")
        if self.max_seconds is not None:
            check("max_seconds", self.max_seconds, self.max_seconds > 0, "above 0")
        self.sampler()

    def sampler(self) -> Sampler:
        """How corrected classes are sampled."""
        return Sampler(nfe=NFE, guidance=self.guidance)

    def training(self, rows: int) -> TrainConfig:
        """The configuration of the network for so many rows."""
        steps = self.steps or max(LEAST_STEPS, min(MOST_STEPS, EPOCHS * rows // BATCH))
        network = self.network if self.network != "auto" else ("small" if rows >= MANY else "tiny")
        return TrainConfig(
            objective=self.objective,
            network=network,
            batch_size=min(BATCH, max(16, rows)),
            policy="sqrt",
            lr=RATE,
            precision="float32",
            warmup=min(100, steps // 4),
            ema=0.99 if steps < 2000 else 0.998,
            steps=steps,
            checkpoint_every=steps,
            previews=0,
            seed=self.seed,
        )


def make_objective(given: str | Mapping[str, Any] | Objective) -> Objective:
    """An objective from its name, from a mapping with its ``name`` and settings, or as it is.

    Raises:
        UsageError: an unknown name or setting.
    """
    if isinstance(given, Objective):
        return given
    return TrainConfig.from_mapping({"objective": given, "steps": 1}).objective


def within_seconds(config: TrainConfig, seconds_per_step: float, seconds: float) -> TrainConfig:
    """The configuration with no more steps than fit into ``seconds``, 20 at least."""
    assert config.steps is not None
    return with_steps(config, min(config.steps, max(20, int(seconds / max(seconds_per_step, 1e-6)))))


def with_steps(config: TrainConfig, steps: int) -> TrainConfig:
    """The configuration with so many steps."""
    return replace(config, steps=steps, checkpoint_every=steps, warmup=min(config.warmup, steps // 4))
