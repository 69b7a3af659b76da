"""Ways to fit all classes at once, under one interface, so that the best form of borrowing strength wins by measurement.

Law: a rule is a frozen record of its numbers; ``rule(problem)`` gives one strategy profile and the features it belongs to, as a
denoiser. All rules see the same samples, the same noise and the same random features.

* :class:`Mutual`: the game, with every choice of strength and law; beta 0 is every class for itself;
* :class:`PartialPooling`: each player mixed with the count-weighted mean player;
* :class:`ClassGaussians`: the Gaussian of each class with shrunken moments, no game;
* :class:`Anchored`: the game with a ridge that pulls to these Gaussians instead of to zero (ours);

and either of the last two may place small classes by their neighbours (:mod:`evenscore.games.neighbours`, ours).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from evenscore.denoisers.random_features import FeatureMap, GaussianScores, RandomFeatureScore
from evenscore.errors import UsageError
from evenscore.games.coupling import by_count, noisy_similarity_law, similarity_law, train_law, uniform_law
from evenscore.games.equilibrium import equilibrium
from evenscore.games.moments import Grid, LossWeights, Moments, gather
from evenscore.games.neighbours import neighbourhood
from evenscore.games.population import Population, population
from evenscore.games.quadratic import QuadraticGame
from evenscore.labels import LabelDistribution
from evenscore.networks.random_features import RandomFeatures
from evenscore.random import generator
from evenscore.records import check, check_name

LAWS = ("uniform", "train", "similarity", "noisy-similarity")
LOCATIONS = ("own", "population", "neighbours")


class Problem:
    """Samples of each class, and what is computed from them once for all rules.

    Args:
        samples: (n_k, D) of each class.
        features: m, random features of a player.
        seed: of the features and the noise.
        grid: times.
        weights: over the times.
        sharing: of the random features, see :class:`~evenscore.networks.random_features.RandomFeatures`.
        centring: where they are centred: at the ``origin`` (the paper's), or at each class by one of :data:`LOCATIONS`.

    Raises:
        UsageError: an unknown centring, or samples that do not fit.
    """

    def __init__(
        self,
        samples: Sequence[Tensor],
        features: int,
        seed: int,
        grid: Grid | None = None,
        weights: LossWeights | None = None,
        sharing: str = "independent",
        centring: str = "origin",
    ) -> None:
        check_name("centring", centring, ("origin", *LOCATIONS))
        self.samples = [x.double() for x in samples]
        self.grid, self.weights, self.seed = grid or Grid(), weights or LossWeights(), seed
        self._anchored: dict[str, tuple[FeatureMap, Moments]] = {}
        centres = None if centring == "origin" else self._located(centring)
        everything = torch.cat(
            self.samples if centres is None else [x - m for x, m in zip(samples, centres, strict=True)]
        )
        scale, size = float(everything.square().mean().sqrt()), everything.shape[1]
        self.random = RandomFeatures(
            self.grid.process, len(samples), size, features, generator(seed, "features"), sharing, scale, centres
        )

    @property
    def counts(self) -> tuple[int, ...]:
        """Samples of each class."""
        return tuple(len(x) for x in self.samples)

    @cached_property
    def means(self) -> Tensor:
        """(K, D) means of the classes' own samples."""
        return torch.stack([x.mean(0) for x in self.samples])

    @cached_property
    def population(self) -> Population:
        """The classes as members of one population."""
        return population(self.samples)

    @cached_property
    def plain(self) -> tuple[FeatureMap, Moments]:
        """Random features alone, and their moments."""
        return self._with(FeatureMap(self.random))

    def anchored(self, location: str) -> tuple[FeatureMap, Moments]:
        """Random features with the shrunken Gaussian of each class behind them, and their moments.

        Args:
            location: where the Gaussians stand: ``own`` means, shrunk to the ``population``, or by ``neighbours``.
        """
        if location not in self._anchored:
            gaussians = GaussianScores(self._located(location), self.population.covariances)
            self._anchored[location] = self._with(FeatureMap(self.random, gaussians))
        return self._anchored[location]

    def _located(self, location: str) -> Tensor:
        if location == "neighbours":
            counts = torch.tensor(self.counts, dtype=torch.float64)
            return neighbourhood(self.means, counts, self.population).means
        return self.means if location == "own" else self.population.means

    def _with(self, features: FeatureMap) -> tuple[FeatureMap, Moments]:
        return features, gather(self.samples, features, self.grid, self.weights, generator(self.seed, "noise"))


class Rule(ABC):
    """A way to fit all classes."""

    @abstractmethod
    def __call__(self, problem: Problem) -> RandomFeatureScore:
        """The fitted denoiser."""


@dataclass(frozen=True)
class Ridge:
    """``mu_k = (fixed + k0 / n_k) * trace(D_k) / F``: relative to the mean curvature of the player's own data.

    Attributes:
        fixed: the same for every class; the solver needs 1e-8 at least.
        k0: divided by the class's count.

    Raises:
        UsageError: a negative number or both too small.
    """

    fixed: float = 1e-8
    k0: float = 0.1

    def __post_init__(self) -> None:
        check("fixed", self.fixed, self.fixed >= 1e-10, "at least 1e-10")
        check("k0", self.k0, self.k0 >= 0, "at least 0")

    def __call__(self, moments: Moments) -> Tensor:
        """(K,) mu."""
        n = torch.tensor(moments.counts, dtype=torch.float64)
        trace = moments.data.diagonal(dim1=1, dim2=2).mean(1)
        return (self.fixed + self.k0 / n) * trace


@dataclass(frozen=True)
class Mutual(Rule):
    """The solved game.

    Attributes:
        beta: strength of the same size for every player.
        kappa: strength ``kappa / n_k``, added to beta.
        law: one of :data:`LAWS`.
        width: of the law ``similarity``, in units of the within-class standard deviation.
        ridge: towards zero.
        radius: norm bound B.

    Raises:
        UsageError: an unknown law or a negative strength.
    """

    beta: float = 0.0
    kappa: float = 0.0
    law: str = "uniform"
    width: float = 2.0
    ridge: Ridge = field(default_factory=Ridge)
    radius: float = math.inf

    def __post_init__(self) -> None:
        check_name("law", self.law, LAWS)
        for key in ("beta", "kappa"):
            check(key, getattr(self, key), getattr(self, key) >= 0, "at least 0")

    def __call__(self, problem: Problem) -> RandomFeatureScore:
        features, moments = problem.plain
        return RandomFeatureScore(features, equilibrium(self.game(problem, moments)).profile)

    def game(self, problem: Problem, moments: Moments, centre: Tensor | None = None) -> QuadraticGame:
        """The game of these choices, with the ridge towards ``centre``."""
        n = problem.counts
        beta = self.beta + by_count(self.kappa, n)
        middle = torch.zeros_like(moments.target) if centre is None else centre
        return QuadraticGame(moments, beta, self._law(problem), self.ridge(moments), middle, self.radius)

    def _law(self, problem: Problem) -> Tensor:
        if self.law == "uniform":
            return uniform_law(len(problem.counts))
        if self.law == "train":
            return train_law(LabelDistribution(problem.counts))
        within = problem.population.within
        if self.law == "noisy-similarity":
            return noisy_similarity_law(problem.means, problem.counts, within)
        spread = float(within.diagonal().mean().sqrt())
        return similarity_law(problem.means, self.width * spread)


@dataclass(frozen=True)
class PartialPooling(Rule):
    """Each player of the game without coupling, moved towards the count-weighted mean player by ``kappa / (n_k + kappa)``.

    Attributes:
        kappa: how many samples the population counts for.
        ridge: towards zero.

    Raises:
        UsageError: a negative kappa; when called, weights of features that are not shared: strategies have no mean then.
    """

    kappa: float = 1.0
    ridge: Ridge = field(default_factory=Ridge)

    def __post_init__(self) -> None:
        check("kappa", self.kappa, self.kappa >= 0, "at least 0")

    def __call__(self, problem: Problem) -> RandomFeatureScore:
        features, moments = problem.plain
        if not features.random.common_weights:
            raise UsageError(
                "partial pooling averages strategies, which belong to one set of features: use sharing=shared"
            )
        alone = equilibrium(Mutual(ridge=self.ridge).game(problem, moments)).profile
        n = torch.tensor(problem.counts, dtype=torch.float64)
        mean = torch.einsum("k,kdf->df", n / n.sum(), alone)
        share = (self.kappa / (n + self.kappa))[:, None, None]
        return RandomFeatureScore(features, (1 - share) * alone + share * mean)


@dataclass(frozen=True)
class ClassGaussians(Rule):
    """The Gaussian of each class, with mean and covariance shrunk towards the population (empirical Bayes).

    Attributes:
        location: one of :data:`LOCATIONS`.

    Raises:
        UsageError: an unknown location.
    """

    location: str = "population"

    def __post_init__(self) -> None:
        check_name("location", self.location, LOCATIONS)

    def __call__(self, problem: Problem) -> RandomFeatureScore:
        features, _ = problem.anchored(self.location)
        return RandomFeatureScore(features, features.gaussian_strategy())


@dataclass(frozen=True)
class Anchored(Rule):
    """The game whose ridge pulls each player to its empirical-Bayes Gaussian: few samples leave it there, many correct it.

    Attributes:
        game: strengths, law and ridge.
        location: of the Gaussians, one of :data:`LOCATIONS`.

    Raises:
        UsageError: an unknown location.
    """

    game: Mutual = field(default_factory=lambda: Mutual(ridge=Ridge(k0=1.0)))
    location: str = "neighbours"

    def __post_init__(self) -> None:
        check_name("location", self.location, LOCATIONS)

    def __call__(self, problem: Problem) -> RandomFeatureScore:
        features, moments = problem.anchored(self.location)
        game = self.game.game(problem, moments, features.gaussian_strategy())
        return RandomFeatureScore(features, equilibrium(game).profile)
