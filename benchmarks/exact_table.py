"""The exact case: classes that are Gaussian, so that means, covariances and log-densities are known.

Three unequal classes of correlated normal values. A generator is fitted to them and as many rows of each class are drawn.
The variance of an entry has two parts, that of the n training rows, from which no one can learn more, and that of the m
drawn rows: s_ii (1/n + 1/m) for a mean, (s_ij^2 + s_ii s_jj) (1/n + 1/m) for a covariance; the standard error is its
root. Held: every entry within 3 standard errors; and the mean of ``score_samples`` minus the true class-conditional
log-density over unseen rows within 0.01 nats, for all rows together. Beside it stand the figures by class, the mean absolute
difference, and the same mean for Gaussian laws fitted to the training rows, which is what is to be had by knowing the form.

What is possible: the D + D (D+1)/2 numbers of a Gaussian that is fitted to n rows cost half a nat each in n unseen rows
together, D (D+3) / (4 n) nats a row on average (Akaike 1974, "A new look at the statistical model identification"). 0.01
nats ask for at least 25 D (D+3) rows of a class, 450 for D = 3; every class here has more, and the sum is printed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.runner import Outcome

SUMMARY = "Gaussian classes: generated moments within 3 standard errors, log-densities within 0.01 nats of the truth"
COUNTS = (20_000, 5000, 1000)
QUICK = (4000, 2000, 1000)
"""Fewer rows of a class than this leave too much of its law open: Gaussian laws fitted to them miss the bound as well."""
DIMENSION = 3
UNSEEN = 2000
ERRORS = 3.0
NATS = 1e-2
Array = NDArray[np.float64]


def least(counts: tuple[int, ...], dimension: int) -> float:
    """Nats a row by which Gaussian laws fitted to so many rows of each class miss on average: D (D+3) / (4 n)."""
    return float(np.mean([dimension * (dimension + 3) / (4 * n) for n in counts]))


@dataclass(frozen=True, eq=False)
class Gaussians:
    """Class-conditional normal laws: means (K, d) and covariances (K, d, d)."""

    means: Array
    covariances: Array

    @classmethod
    def of(cls, classes: int, dimension: int, seed: int) -> Gaussians:
        """Laws with correlations and different scales, drawn from a seed."""
        random = np.random.default_rng(seed)
        factors = np.eye(dimension) + 0.5 * random.normal(size=(classes, dimension, dimension))
        scales = np.exp(random.normal(size=dimension))
        factors = scales[:, None] * factors
        return cls(2.0 * scales * random.normal(size=(classes, dimension)), factors @ factors.transpose(0, 2, 1))

    @classmethod
    def fitted(cls, X: Array, y: NDArray[np.int64]) -> Gaussians:
        """The laws with the moments of the rows of each class."""
        parts = [X[y == k] for k in range(int(y.max()) + 1)]
        return cls(np.stack([p.mean(0) for p in parts]), np.stack([np.cov(p, rowvar=False) for p in parts]))

    def rows(self, counts: tuple[int, ...], seed: int) -> tuple[Array, NDArray[np.int64]]:
        """So many rows of each class, class by class."""
        random = np.random.default_rng(seed)
        parts = zip(self.means, self.covariances, counts, strict=True)
        X = np.concatenate([random.multivariate_normal(m, c, n, method="cholesky") for m, c, n in parts])
        return X, np.repeat(np.arange(len(counts)), counts)

    def log_density(self, X: Array, y: NDArray[np.int64]) -> Array:
        """log p(x | y) in nats (n,)."""
        from scipy.stats import multivariate_normal

        found = np.empty(len(X))
        for k, (m, c) in enumerate(zip(self.means, self.covariances, strict=True)):
            found[y == k] = multivariate_normal(m, c).logpdf(X[y == k])
        return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--seed", type=int, default=0, help="of the laws, the rows and the generator")
    parser.add_argument("--rows", type=int, default=20_000, help="rows to draw of each class")
    parser.add_argument("--minutes", type=float, help="budget of the fit, instead of the generator's own")
    parser.add_argument("--quick", action="store_true", help="fewer rows to learn from, and a tenth of those drawn")


def run(args: argparse.Namespace) -> Outcome:
    """Fit, draw, and hold moments and log-densities against the laws."""
    from evenscore.sklearn import ScoreGenerator

    share = 10 if args.quick else 1
    counts, drawn = QUICK if args.quick else COUNTS, args.rows // share
    law = Gaussians.of(len(counts), DIMENSION, args.seed)
    X, y = law.rows(counts, args.seed)
    settings = {} if args.minutes is None else {"max_seconds": 60 * args.minutes}
    started = time.perf_counter()
    generator = ScoreGenerator(random_state=args.seed, verbose=0, **settings).fit(X, y)
    seconds = time.perf_counter() - started
    labels = np.repeat(np.arange(len(counts)), drawn)
    made = np.asarray(generator.sample(len(labels), labels)[0], dtype=np.float64)
    moments = {k: within(law, k, counts[k], made[labels == k]) for k in range(len(counts))}
    unseen, unseen_y = law.rows((UNSEEN,) * len(counts), args.seed + 1)
    found = np.asarray(generator.score_samples(unseen, unseen_y), dtype=np.float64)
    densities = apart(found - law.log_density(unseen, unseen_y), unseen_y)
    best = Gaussians.fitted(X, y).log_density(unseen, unseen_y) - law.log_density(unseen, unseen_y)
    outside = sum(row["outside"] for row in moments.values())
    values = {
        "moments": moments,
        "entries outside": outside,
        "entries": sum(row["entries"] for row in moments.values()),
        "log-density, mean difference in nats": densities["mean"],
        "log-density": densities,
        "log-density of fitted Gaussian laws": apart(best, unseen_y),
        "least that is possible, D (D+3) / (4 n)": least(counts, DIMENSION),
        "seconds to fit": seconds,
    }
    print(values, file=sys.stderr, flush=True)
    bound = {"entries outside": 0, "log-density, mean difference in nats": [-NATS, NATS]}
    return Outcome(values, bound, outside == 0 and abs(densities["mean"]) <= NATS)


def within(law: Gaussians, k: int, trained_on: int, made: Array) -> dict[str, Any]:
    """Deviations of the mean and the covariance of drawn rows of class ``k`` in standard errors, and how many exceed 3."""
    covariance, share = law.covariances[k], 1 / trained_on + 1 / len(made)
    variances = np.diag(covariance)
    upper = np.triu_indices(len(variances))
    mean = (made.mean(0) - law.means[k]) / np.sqrt(variances * share)
    spread = np.sqrt((np.outer(variances, variances) + np.square(covariance)) * share)
    entries = np.concatenate([mean, ((np.cov(made, rowvar=False) - covariance) / spread)[upper]])
    return {
        "largest, mean": float(np.abs(mean).max()),
        "largest, covariance": float(np.abs(entries[len(mean) :]).max()),
        "outside": int((np.abs(entries) > ERRORS).sum()),
        "entries": len(entries),
    }


def apart(difference: Array, y: NDArray[np.int64]) -> Mapping[str, Any]:
    """Mean difference, its mean absolute value, and the mean by class."""
    return {
        "mean": float(difference.mean()),
        "mean absolute": float(np.abs(difference).mean()),
        "by class": [float(difference[y == k].mean()) for k in range(int(y.max()) + 1)],
    }
