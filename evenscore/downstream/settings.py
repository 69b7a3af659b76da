"""What a downstream comparison is asked to measure, and how its classifiers are trained."""

from __future__ import annotations

import math
from dataclasses import dataclass

from evenscore import records
from evenscore.data import AUGMENTATIONS
from evenscore.downstream.methods import check_methods
from evenscore.errors import UsageError
from evenscore.networks.resnet import check_depth
from evenscore.objectives.reweighting import SCHEMES

OPTIMISERS = {"sgd": 0.1, "adamw": 2e-3}
"""Optimisers by name, each with its learning rate where none is given."""
PRECISIONS = ("float32", "bfloat16")
STEPS = {"image": 1000, "vector": 100}
"""Updates where none are given: optimiser steps for images, boosting rounds for vectors."""


@dataclass(frozen=True)
class Settings:
    """How to compare; checked when made.

    Attributes:
        methods: rows by method; none for all that the data allow. ``real`` and ``synthetic`` are always measured.
        ratios: shares R of what each class lacks that are filled with synthetic samples; 1 balances.
        seeds: paired seeds: ``seed``, ``seed`` + 1, ...
        seed: the first seed.
        steps: optimiser steps for images, boosting rounds for vectors; none for 1000 and 100.
        synthetic_weight: weight of a synthetic sample; 0 is the row ``real``.
        scheme: weights of ``re-weighted``: ``inverse`` (1 / n) or ``effective`` (effective number).
        effective_beta: beta of the effective number.
        tau: strength of ``logit-adjusted``.
        margin: a gain that is surely below this is called no help.
        head: a head class has more training samples than this.
        tail: a tail class has fewer training samples than this.
        depth: layers of the residual network, 6n + 2; images only, like all below.
        batch_size: samples of an update.
        optimiser: ``sgd`` (momentum 0.9, Nesterov) or ``adamw``; both with a cosine schedule.
        lr: learning rate; none for 0.1 under sgd and 0.002 under adamw.
        weight_decay: of the optimiser.
        augmentation: ``none``, ``flip``, ``crop-shift`` or ``flip+crop-shift``.
        precision: ``float32``, or ``bfloat16`` (autocast) of training; tests are in float32.

    Raises:
        UsageError: an unknown name, or a value outside its range.
    """

    methods: tuple[str, ...] | None = None
    ratios: tuple[float, ...] = (0.25, 0.5, 1.0)
    seeds: int = 3
    seed: int = 0
    steps: int | None = None
    synthetic_weight: float = 1.0
    scheme: str = "inverse"
    effective_beta: float = 0.9999
    tau: float = 1.0
    margin: float = 0.02
    head: int = 100
    tail: int = 20
    depth: int = 8
    batch_size: int = 128
    optimiser: str = "sgd"
    lr: float | None = None
    weight_decay: float = 5e-4
    augmentation: str = "crop-shift"
    precision: str = "float32"

    def __post_init__(self) -> None:
        if self.methods is not None:
            check_methods(self.methods)
        check_ratios(self.ratios)
        records.check_name("scheme", self.scheme, SCHEMES)
        records.check_name("optimiser", self.optimiser, OPTIMISERS)
        records.check_name("augmentation", self.augmentation, AUGMENTATIONS)
        records.check_name("precision", self.precision, PRECISIONS)
        check_depth(self.depth)
        records.check("effective_beta", self.effective_beta, 0 <= self.effective_beta < 1, "from 0 to below 1")
        for key, least in (("seeds", 1), ("batch_size", 2), ("seed", 0)):
            records.check(key, getattr(self, key), getattr(self, key) >= least, f"at least {least}")
        for key in ("synthetic_weight", "tau", "margin", "weight_decay"):
            value = getattr(self, key)
            records.check(key, value, value >= 0 and math.isfinite(value), "a number of at least 0")
        for key in ("steps", "lr"):
            value = getattr(self, key)
            records.check(key, value, value is None or value > 0, "above 0")
        if not 0 <= self.tail <= self.head + 1:
            raise UsageError(f"head={self.head} and tail={self.tail} cannot be used: give tail at most head + 1")

    def updates(self, kind: str) -> int:
        """Optimiser steps for images, boosting rounds for vectors."""
        return STEPS[kind] if self.steps is None else self.steps

    @property
    def rate(self) -> float:
        """The learning rate."""
        return OPTIMISERS[self.optimiser] if self.lr is None else self.lr

    @property
    def all_seeds(self) -> tuple[int, ...]:
        return tuple(range(self.seed, self.seed + self.seeds))


def check_ratios(ratios: tuple[float, ...]) -> None:
    """Refuse ratios that are not above 0, that repeat, or none.

    Raises:
        UsageError: they do.
    """
    wrong = [ratio for ratio in ratios if not (ratio > 0 and math.isfinite(ratio))]
    if wrong:
        raise UsageError(f"ratio {wrong[0]:g} cannot be used: give ratios above 0, such as 0.5, where 1 balances")
    if not ratios or len({f"{ratio:g}" for ratio in ratios}) < len(ratios):
        raise UsageError(f"ratios {','.join(f'{r:g}' for r in ratios) or '(none)'}: give at least one, and each once")
