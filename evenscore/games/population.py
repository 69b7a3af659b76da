"""Classes as draws from one population: their means and covariances, shrunk by what a class's own samples say.

Means: ``mean_k ~ N(m_k, S / n_k)`` with ``m_k ~ N(m, T)``; m and T by expectation-maximisation of the marginal likelihood,
m_k its posterior mean (the hierarchical normal model, Gelman et al., "Bayesian Data Analysis", section 5.4).

Covariances: ``S_k ~ inverse-Wishart(nu, (nu - D - 1) S)`` around their mean S, nu by the marginal likelihood of the scatter
matrices and, in turn, S the mean of the classes' own covariances with weights ``d_k / (d_k + nu - D - 1)``, ``d_k = n_k - 1``,
so that no class counts for more than the population it stands for. The posterior mean of ``S_k`` is
``(scatter_k + (nu - D - 1) S) / (d_k + nu - D - 1)`` (section 3.6).

Law: a class of many samples keeps its own moments; one of few samples leans on the population, on its mean too where classes
are near each other compared with how badly its own is known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evenscore.errors import UsageError

ROUNDS = 500
ALTERNATIONS = 10
FREEDOMS = 40
"""Values of nu that are tried."""


@dataclass(frozen=True)
class Population:
    """A population of classes and its members, float64.

    Attributes:
        mean: (D,) of the class means.
        between: (D, D) T, their covariance.
        within: (D, D) S, the mean covariance of a class.
        freedom: nu, how alike the covariances are; large means equal.
        means: (K, D) posterior means.
        covariances: (K, D, D) posterior mean covariances.
    """

    mean: Tensor
    between: Tensor
    within: Tensor
    freedom: float
    means: Tensor
    covariances: Tensor


def population(samples: Sequence[Tensor]) -> Population:
    """The population of some classes.

    Args:
        samples: (n_k, D) of each class.

    Raises:
        UsageError: fewer than two classes, or too few samples to know any covariance.
    """
    counts = torch.tensor([len(x) for x in samples], dtype=torch.float64)
    size = samples[0].shape[1]
    if len(samples) < 2 or int(counts.min()) < 1 or float((counts - 1).sum()) < size:
        raise UsageError(
            f"{len(samples)} classes of {[int(n) for n in counts]} samples in {size} dimensions tell too little: "
            "give two classes or more, and more samples than dimensions"
        )
    own = torch.stack([x.double().mean(0) for x in samples])
    scatter = torch.stack([(x.double() - m).T @ (x.double() - m) for x, m in zip(samples, own, strict=True)])
    within, freedom = hyper_covariances(scatter, counts - 1)
    mean, between = hyper_means(own, counts, within)
    prior = freedom - size - 1
    covariances = (scatter + prior * within) / (counts - 1 + prior)[:, None, None]
    return Population(mean, between, within, freedom, shrunk_means(own, counts, within, mean, between), covariances)


def shrunk_means(own: Tensor, counts: Tensor, within: Tensor, mean: Tensor, between: Tensor) -> Tensor:
    """Posterior means (K, D): ``m + T (T + S / n_k)^-1 (mean_k - m)``."""
    total = between + within / counts[:, None, None]
    moved: Tensor = between @ torch.linalg.solve(total, (own - mean).unsqueeze(2))
    return mean + moved.squeeze(2)


def hyper_means(own: Tensor, counts: Tensor, within: Tensor) -> tuple[Tensor, Tensor]:
    """``m`` (D,) and ``T`` (D, D) of the greatest marginal likelihood, by expectation-maximisation.

    Args:
        own: (K, D) means of the classes' own samples.
        counts: (K,) n_k.
        within: (D, D) S.
    """
    mean, between = own.mean(0), own.T.cov().reshape(own.shape[1], -1) + 1e-9 * within
    for _ in range(ROUNDS):
        total = between + within / counts[:, None, None]
        gain = between @ torch.linalg.inv(total)
        means = mean + (gain @ (own - mean).unsqueeze(2)).squeeze(2)
        spread = between - gain @ between
        mean = means.mean(0)
        apart = means - mean
        between = (apart.unsqueeze(2) * apart.unsqueeze(1) + spread).mean(0)
        between = (between + between.T) / 2
    return mean, between


def hyper_covariances(scatter: Tensor, degrees: Tensor) -> tuple[Tensor, float]:
    """``S`` (D, D) and ``nu``.

    Args:
        scatter: (K, D, D) sums of squares of the classes' own samples round their means.
        degrees: (K,) degrees of freedom of each.
    """
    size, known = scatter.shape[1], degrees > 0
    within = scatter.sum(0) / degrees.sum()
    freedom = math.inf
    for _ in range(ALTERNATIONS):
        freedom = _freedom(scatter, degrees, within)
        weight = (1 / (degrees + freedom - size - 1))[known]
        within = (weight[:, None, None] * scatter[known]).sum(0) / (weight * degrees[known]).sum()
    return within, freedom


def _freedom(scatter: Tensor, degrees: Tensor, within: Tensor) -> float:
    """The nu of the greatest marginal likelihood of scatter matrices, from a grid above D + 1."""
    size = within.shape[0]
    known = degrees > 0
    tried = size + 1 + torch.logspace(-0.5, 4, FREEDOMS, dtype=torch.float64)
    scores = [_log_marginal(scatter[known], degrees[known], within, float(nu)) for nu in tried]
    return float(tried[int(torch.tensor(scores).argmax())])


def _log_marginal(scatter: Tensor, degrees: Tensor, within: Tensor, nu: float) -> float:
    """Log density of the scatter matrices, up to what does not depend on nu."""
    size = within.shape[0]
    prior = (nu - size - 1) * within
    before, after = torch.linalg.slogdet(prior)[1], torch.linalg.slogdet(prior + scatter)[1]
    gamma = torch.special.multigammaln((nu + degrees) / 2, size) - torch.special.multigammaln(
        torch.tensor(nu / 2, dtype=torch.float64), size
    )
    return float((gamma + nu / 2 * before - (nu + degrees) / 2 * after).sum())
