"""The label law of a data set: how many samples each class has, and how many it should have.

``K`` classes are numbered ``0 .. K-1``; index ``K`` is the null label (no class given). A *tail class* is one with few
training labels; it has nothing to do with a *minority sample*, which is one of low density.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evenscore.errors import DataError, UsageError, shown, unknown

MOST_SAMPLES = 100_000_000
"""Samples of all classes that can be asked for at once."""
GROUPS = ("head", "medium", "tail")
RULES = ("train", "uniform", "sqrt", "tempered:T", "capped:M", "boosted:P")


def check_total(counts: Sequence[int]) -> None:
    """Refuse more samples of all classes than can be asked for at once.

    Raises:
        UsageError: there are more.
    """
    if sum(counts) > MOST_SAMPLES:
        raise UsageError(
            f"{shown(sum(counts))} samples in all were asked for: ask for at most {MOST_SAMPLES:,}, in several jobs where "
            "more are needed"
        )


@dataclass(frozen=True)
class LabelDistribution:
    """Counts of each class.

    Raises:
        DataError: no class at all, or a negative count.
    """

    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.counts or min(self.counts) < 0 or sum(self.counts) == 0:
            raise DataError(
                f"class counts {list(self.counts)} cannot be used: give at least one class with at least one sample"
            )

    @classmethod
    def of(cls, labels: Sequence[int] | Tensor, num_classes: int) -> LabelDistribution:
        """Count integer labels in ``0 .. num_classes-1``."""
        index = torch.as_tensor(labels, dtype=torch.int64)
        return cls(tuple(torch.bincount(index, minlength=num_classes).tolist()))

    @property
    def num_classes(self) -> int:
        return len(self.counts)

    @property
    def total(self) -> int:
        return sum(self.counts)

    @property
    def imbalance(self) -> float:
        """Largest count over smallest non-zero count."""
        return max(self.counts) / min(c for c in self.counts if c)

    def probabilities(self) -> Tensor:
        """The law as found, (K,), float64."""
        return torch.tensor(self.counts, dtype=torch.float64) / self.total

    def target(self, rule: str) -> Tensor:
        """A label law over the classes that have samples, (K,), float64, summing to 1.

        ``train``: as found. ``uniform``: every class alike. ``sqrt``: proportional to the square root of the count.
        ``tempered:T``: proportional to count ** (1/T); T = 1 is ``train``, T = 2 ``sqrt``, large T approaches ``uniform``.
        ``capped:M``: proportional to min(count, M); classes of M and more are alike, smaller ones as found.
        ``boosted:P``: proportional to count ** (1 - P); P = 0 is ``train``, 1 ``uniform``, and above 1 small classes are
        likelier than large ones.

        Raises:
            UsageError: an unknown rule, a temperature or cap that is not a number above 0, or a power outside 0 to 10.
        """
        return normalise(_power(rule, self.counts))

    def groups(self, head: int = 100, tail: int = 20) -> tuple[str, ...]:
        """Group of each class by the recognition rule: head has more than ``head``, tail fewer than ``tail`` samples."""
        return tuple("head" if c > head else "tail" if c < tail else "medium" for c in self.counts)

    def deficit(self, target: str | int | Sequence[int]) -> tuple[int, ...]:
        """How many samples each class lacks.

        Args:
            target: ``"uniform"`` (every class as large as the largest), a number per class, or one number for each class.

        Raises:
            UsageError: an unknown rule, a negative number, or the wrong number of entries.
        """
        return tuple(max(0, want - have) for want, have in zip(self.wanted(target), self.counts, strict=True))

    def wanted(self, target: str | int | Sequence[int]) -> tuple[int, ...]:
        """The number of samples that each class is to have under ``target`` (see :meth:`deficit`)."""
        if isinstance(target, str):
            if target != "uniform":
                raise unknown("target", target, ("uniform",))
            return (max(self.counts),) * self.num_classes
        counts = (target,) * self.num_classes if isinstance(target, int) else tuple(target)
        if len(counts) != self.num_classes or min(counts) < 0:
            raise UsageError(
                f"target {shown(list(counts))} does not fit {self.num_classes} classes: give one number of at least 0 for each"
            )
        check_total(counts)
        return counts

    def sample(self, n: int, generator: torch.Generator, rule: str = "train") -> Tensor:
        """Draw ``n`` labels (int64) independently from ``target(rule)``."""
        return torch.multinomial(self.target(rule), n, replacement=True, generator=generator)


def _power(rule: str, counts: Sequence[int]) -> Tensor:
    count = torch.tensor(counts, dtype=torch.float64)
    present = (count > 0).double()
    if rule.startswith("tempered:"):
        return present * count.clamp_min(1) ** (1 / _number(rule))
    if rule.startswith("capped:"):
        return count.clamp_max(_number(rule))
    if rule.startswith("boosted:"):
        return present * count.clamp_min(1) ** (1 - _boost(rule))
    powers = {"train": 1.0, "sqrt": 0.5, "uniform": 0.0}
    if rule not in powers:
        raise unknown("label law", rule, RULES)
    return present * count.clamp_min(1) ** powers[rule]


def _boost(rule: str) -> float:
    """The power of a rule ``boosted:P``."""
    text = rule.partition(":")[2]
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 10:
        raise UsageError(f"label law {rule!r}: {text!r} is not a number from 0 to 10: write for example boosted:1.5")
    return value


def _number(rule: str) -> float:
    """What stands behind the colon of a rule."""
    text = rule.partition(":")[2]
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise UsageError(
            f"label law {rule!r}: {text!r} is not a number above 0: write for example tempered:2 or capped:50"
        )
    return value


def normalise(weights: Tensor) -> Tensor:
    """Weights divided by their sum."""
    return weights / weights.sum()
