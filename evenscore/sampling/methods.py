"""Guidance methods of a sampling job: what else steers the samples, beside their class.

Law: a method is a frozen record of its settings; with the run (and what was trained for it), the sampler and the seed it fixes
every sample, so a job that was interrupted goes on to the same files. Its settings are the keys of ``--set``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from evenscore import records
from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError, unknown
from evenscore.guidance.classifier import ClassifierGuided
from evenscore.guidance.diversity import SetDiversity, check_strength
from evenscore.guidance.levels import LevelClassifier, fit_levels
from evenscore.guidance.minority import (
    LOG_SNR,
    Levels,
    MinorityGuidance,
    SelfMinority,
    check_weight,
    level_index,
    minority_score,
    score_noise,
)
from evenscore.guidance.time_shift import TimeShift, check_shift
from evenscore.random import derive_seed, generator
from evenscore.run import Run
from evenscore.sampling.generate import Guide, Sampler, generate, labels_for
from evenscore.training.run_classifier import run_classifier

FORMS = ("classifier", "self")
CHUNK = 250


class Method(ABC):
    """A guidance method of a job.

    Attributes:
        name: its name in ``METHODS``.
    """

    name: ClassVar[str]

    def sets(self, labels: Tensor) -> Tensor | None:
        """The set (N,) to which each sample belongs; None when samples are independent of each other."""
        return None

    def trained(self, run: Run) -> nn.Module | None:
        """The network beside the denoiser that was trained for the run and that :meth:`guide` needs; None for none.

        Raises:
            DataError: the run has none, or one that cannot be used.
        """
        return None

    @abstractmethod
    def guide(
        self, denoiser: Denoiser, sampler: Sampler, seed: int, device: str, trained: nn.Module | None = None
    ) -> Guide | None:
        """What wraps the denoiser of each batch, after classifier-free guidance; None for nothing.

        Args:
            denoiser: of the run, without guidance.
            sampler: how samples are made.
            seed: of everything random.
            device: where to compute.
            trained: what :meth:`trained` gave.
        """


@dataclass(frozen=True)
class Plain(Method):
    """Classifier-free guidance alone, with the strength that --guidance gives."""

    name: ClassVar[str] = "cfg"

    def guide(
        self, denoiser: Denoiser, sampler: Sampler, seed: int, device: str, trained: nn.Module | None = None
    ) -> Guide | None:
        return None


@dataclass(frozen=True)
class Classifier(Method):
    """Towards the class, by a classifier of noisy samples, which evenscore train-classifier trains for a run.

    Its gradient is added to the score that --guidance gives: --guidance 0 for classifier guidance alone (Bayes' rule at weight
    1), --guidance 1 on top of the conditional score. Where --guidance-interval is given it guides inside only.

    Attributes:
        weight: strength; 0 none, above 1 stronger than Bayes' rule.

    Raises:
        UsageError: a negative or infinite weight.
    """

    weight: float = 1.0
    name: ClassVar[str] = "classifier"

    def __post_init__(self) -> None:
        records.check("weight", self.weight, 0 <= self.weight < math.inf, "a number from 0 (none) on")

    def trained(self, run: Run) -> nn.Module | None:
        return run_classifier(run)

    def guide(
        self, denoiser: Denoiser, sampler: Sampler, seed: int, device: str, trained: nn.Module | None = None
    ) -> Guide | None:
        if trained is None:
            raise UsageError("guidance method 'classifier' was given no classifier: give the one that was trained")
        judge = trained.to(device)
        return lambda base, sets: ClassifierGuided(base, judge, self.weight, "conditional", sampler.interval)


@dataclass(frozen=True)
class Minority(Method):
    """Towards unusual samples of each class: those of low density, whatever the size of the class.

    The classifier form first makes samples of every class, scores them, and trains a small classifier of the levels of the
    score, always the same for the same job. The self form needs neither, and differentiates the network.

    Attributes:
        form: ``classifier`` or ``self``.
        level: quantile of the score to guide to, of the classifier form: 0.9 is the least dense tenth; none for 0.9.
        weight: strength; none for 3.5 (classifier) or 0.6 (self).
        levels: how many equal levels the classifier tells apart.
        log_snr: noise level from which samples are reconstructed to score them.
        per_class: samples of each class to learn the levels from.
        steps: training steps of the classifier.

    Raises:
        UsageError: a value outside its range, or a level for the self form.
    """

    form: str = "classifier"
    level: float | None = None
    weight: float | None = None
    levels: int = 10
    log_snr: float = LOG_SNR
    per_class: int = 200
    steps: int = 600
    name: ClassVar[str] = "minority"

    def __post_init__(self) -> None:
        records.check_name("form", self.form, FORMS)
        if self.form == "self" and self.level is not None:
            raise UsageError(
                f"level={self.level:g} has no meaning for form=self: leave it out, or give form=classifier"
            )
        records.check("levels", self.levels, self.levels >= 2, "at least 2")
        records.check("per_class", self.per_class, self.per_class >= self.levels, f"at least levels ({self.levels})")
        records.check("steps", self.steps, self.steps >= 1, "at least 1")
        check_weight(self.strength)
        level_index(self.quantile, self.levels)

    @property
    def quantile(self) -> float:
        """The level, with its default filled in."""
        return 0.9 if self.level is None else self.level

    @property
    def strength(self) -> float:
        """The weight, with its default filled in."""
        return self.weight if self.weight is not None else 3.5 if self.form == "classifier" else 0.6

    def guide(
        self, denoiser: Denoiser, sampler: Sampler, seed: int, device: str, trained: nn.Module | None = None
    ) -> Guide | None:
        if self.form == "self":
            draws = torch.randn((1, *denoiser.shape), generator=generator(seed, "self minority"))
            return lambda base, sets: SelfMinority(base, draws.to(device), self.strength, self.log_snr)
        classifier = self.learn(denoiser, sampler, derive_seed(seed, "levels"), device)
        index = level_index(self.quantile, self.levels)
        return lambda base, sets: MinorityGuidance(base, classifier, index, self.strength)

    def learn(self, denoiser: Denoiser, sampler: Sampler, seed: int, device: str) -> LevelClassifier:
        """The classifier of levels, learned from samples of every class that the denoiser makes."""
        y = labels_for([self.per_class] * denoiser.num_classes)
        made = generate(denoiser, y, seed=seed, sampler=sampler, batch_size=CHUNK, device=device)
        x = torch.cat([batch.x for batch in made]).to(device)
        y = y.to(device)
        scores = minority_scores(denoiser, x, y, seed, self.log_snr)
        levels = Levels.of(scores, y, denoiser.num_classes, self.levels)(scores, y)
        return fit_levels(denoiser, x, y, levels, self.levels, seed=seed, steps=self.steps)


@dataclass(frozen=True)
class Diversity(Method):
    """Samples of one class are made in sets whose members are kept apart, so that they are no near-copies of each other.

    A solver that adds fresh noise brings the samples back to likely values afterwards; a deterministic one does so less.

    Attributes:
        eta: strength; 0 none.
        distance: samples further apart than this root mean square difference are left alone; none for no limit.
        until: log SNR up to which samples are kept apart; none for all the way.
        size: samples of a set.

    Raises:
        UsageError: a value outside its range.
    """

    eta: float = 4.0
    distance: float | None = None
    until: float | None = 1.0
    size: int = 5
    name: ClassVar[str] = "diversity"

    def __post_init__(self) -> None:
        check_strength(self.eta, self.distance)
        records.check("size", self.size, self.size >= 1, "at least 1")

    def sets(self, labels: Tensor) -> Tensor | None:
        return set_numbers(labels, self.size)

    def guide(
        self, denoiser: Denoiser, sampler: Sampler, seed: int, device: str, trained: nn.Module | None = None
    ) -> Guide | None:
        return lambda base, sets: SetDiversity(base, sets, self.eta, self.distance, self.until)


@dataclass(frozen=True)
class Shifted(Method):
    """Samples on their way are noisier than their time says: the network is told a higher noise level.

    A correction of what the errors of earlier steps add; it needs no training. A negative shift tells a lower level.

    Attributes:
        shift: log of the factor of the noise level, -1 to 1; 0 none.

    Raises:
        UsageError: a shift outside that range.
    """

    shift: float = 0.02
    name: ClassVar[str] = "time-shift"

    def __post_init__(self) -> None:
        check_shift(self.shift)

    def guide(
        self, denoiser: Denoiser, sampler: Sampler, seed: int, device: str, trained: nn.Module | None = None
    ) -> Guide | None:
        return lambda base, sets: TimeShift(base, self.shift)


METHODS: Mapping[str, type[Method]] = {kind.name: kind for kind in (Plain, Classifier, Minority, Diversity, Shifted)}


def read_method(name: str, settings: Mapping[str, Any]) -> Method:
    """The method of a name with its settings.

    Raises:
        UsageError: an unknown name, key or value.
    """
    if name not in METHODS:
        raise unknown("guidance method", name, METHODS)
    return records.read(METHODS[name], settings)


def set_numbers(labels: Tensor, size: int) -> Tensor:
    """Sets (N,) of at most ``size`` samples, of one class each, where samples of a class stand together in ``labels``."""
    numbers, number, held = [], -1, size
    before: int | None = None
    for label in labels.tolist():
        if label != before or held == size:
            number, held = number + 1, 0
        before, held = label, held + 1
        numbers.append(number)
    return torch.tensor(numbers, dtype=torch.int64)


def minority_scores(denoiser: Denoiser, x: Tensor, y: Tensor, seed: int, log_snr: float = LOG_SNR) -> Tensor:
    """Minority scores (N,) of any number of samples, in parts; sample ``i`` has its own noise, fixed by the seed."""
    parts = []
    for start in range(0, len(x), CHUNK):
        rows = range(start, min(start + CHUNK, len(x)))
        part = slice(rows.start, rows.stop)
        parts.append(minority_score(denoiser, x[part], y[part], score_noise(seed, rows), log_snr=log_snr))
    return torch.cat(parts)
