"""What an evaluation is asked to measure, and how."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from evenscore.data import Dataset
from evenscore.errors import UsageError, unknown
from evenscore.metrics.base import METRICS, Metric
from evenscore.metrics.interval import REPLICATES
from evenscore.records import check

AGREEMENT = Metric("agreement", "higher", "probabilities", "agreement", "samples that look like their class", 0.0, 1.0)
COPIES = Metric("copies", "lower", "features", "copies", "samples that are copies of training samples", 0.0, 1.0)
LIKELIHOOD = Metric("likelihood", "lower", "run", "likelihood", "bits per dimension of held-out samples under the run")
COUNTED: Mapping[str, Metric] = {metric.name: metric for metric in (AGREEMENT, COPIES)}
"""Measures that are shares of the generated samples, counted while they come in."""
ASKABLE: Mapping[str, Metric] = {**METRICS, **COUNTED, LIKELIHOOD.name: LIKELIHOOD}
"""Every measure that can be asked for."""
DEFAULT = ("frechet", "kernel", "precision", "recall", "density", "coverage", "agreement", "copies")
BALANCED = 1.5
"""Training data whose largest class is at most so many times its smallest are called balanced."""


SEEN = (
    "the likelihood is that of the training part of the reference: samples that the run was trained on as well, if there are "
    "any, make it look better"
)


@dataclass(frozen=True)
class Settings:
    """How to evaluate; checked when made.

    Attributes:
        features: name of the feature map.
        metrics: measures by name; None for the default ones that the features allow.
        part: ``train`` or ``test`` of the reference; None for ``test`` where there is one.
        head, tail: a head class has more than ``head`` training samples, a tail class fewer than ``tail``.
        seed: of everything that is fitted, drawn and resampled here; not of the samples.
        replicates: of the bootstrap.
        fit_steps: of the fit of ``domain`` features; None for the default.
        likelihood_per_class: real samples of each class whose likelihood is computed, at most; it is slow.
        tolerance: of the flow that computes it.

    Raises:
        UsageError: an unknown measure, one that is named twice, thresholds in the wrong order, or no sample of a class.
    """

    features: str = "domain"
    metrics: tuple[str, ...] | None = None
    part: str | None = None
    head: int = 100
    tail: int = 20
    seed: int = 0
    replicates: int = REPLICATES
    fit_steps: int | None = None
    likelihood_per_class: int = 20
    tolerance: float = 1e-4

    def __post_init__(self) -> None:
        names = self.metrics if self.metrics is not None else DEFAULT
        for name in names:
            if name not in ASKABLE:
                raise unknown("metric", name, ASKABLE)
        if not names or len(set(names)) < len(names):
            raise UsageError(f"metrics {','.join(names) or '(none)'}: name at least one, and each once")
        if not 0 <= self.tail <= self.head + 1:
            raise UsageError(f"head {self.head} and tail {self.tail} cannot be used: give tail at most head + 1")
        check("likelihood_per_class", self.likelihood_per_class, self.likelihood_per_class >= 1, "at least 1")

    def part_of(self, reference: Dataset) -> str:
        """The part of a reference that is compared with."""
        return self.part or ("train" if reference.test is None else "test")

    def likelihood(self, metrics: Collection[str], part: str) -> dict[str, Any]:
        """What belongs to the protocol of the likelihood, where it is among the measures."""
        how = {"per_class": self.likelihood_per_class, "tolerance": self.tolerance, "part": part}
        return {LIKELIHOOD.name: how} if LIKELIHOOD.name in metrics else {}

    def likelihood_notes(self, metrics: Collection[str], part: str) -> tuple[str, ...]:
        """What a reader has to know of the likelihood, where it is among the measures."""
        return (SEEN,) if LIKELIHOOD.name in metrics and part == "train" else ()

    def chosen(self, own_classes: bool) -> tuple[str, ...]:
        """The measures that are computed with features that know the classes of the data, or do not.

        Raises:
            UsageError: label agreement was asked for, and the features do not know the classes.
        """
        if self.metrics is None:
            return tuple(name for name in DEFAULT if own_classes or name != AGREEMENT.name)
        if AGREEMENT.name in self.metrics and not own_classes:
            raise UsageError(
                f"label agreement needs class probabilities over the classes of the data, and features {self.features!r} "
                "have none: leave agreement out, or give --features domain"
            )
        return self.metrics


def reference_kind(reference: Dataset, part: str) -> str:
    """What is compared with: ``test``, ``balanced_train`` or ``lt_train``, the last with unequal classes."""
    if part == "test":
        return "test"
    return "balanced_train" if reference.distribution.imbalance <= BALANCED else "lt_train"
