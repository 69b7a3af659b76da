"""Locations of small classes from the classes near them: an empirical-Bayes prior that is a mixture, not one Gaussian.

One Gaussian over all class means is as wide as the farthest classes are apart, and so helps none of the near ones. Here the
prior of class k's mean has a part at each other class and one for all,

    m_k ~ 1/K [ N(m, T) + sum_{j != k} N(mean_j, S / n_j + tau^2 S) ]

with S the within-class covariance, m and T those of :mod:`evenscore.games.population`, and tau the distance of neighbours in
units of S. Few classes say little of tau, so it has a law of its own, ``log tau ~ N(0, 1/4)``: classes are neighbours within
about a standard deviation. The estimate is the posterior mean of ``m_k`` given ``mean_k ~ N(m_k, S / n_k)``, over the parts and
over tau, whose likelihood is the product over classes of each mean under the prior made of the others.

Law: a class with neighbours moves towards them by what its own count leaves open, a lonely class hardly moves. (Ours; the form
is that of nonparametric empirical Bayes, Robbins 1956, with atoms at the other classes.)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from evenscore.games.population import Population

LOG_TAUS = tuple(-2.0 + 0.2 * i for i in range(21))
"""Logarithms of the distances that are averaged over, four standard deviations of their law to each side."""
SPREAD = 0.5


@dataclass(frozen=True)
class Neighbourhood:
    """Locations from neighbours.

    Attributes:
        means: (K, D) posterior means.
        tau: its posterior geometric mean, in within-class standard deviations.
        shares: (K, K) posterior weight of each other class's part; what is missing to 1 is the part for all.
    """

    means: Tensor
    tau: float
    shares: Tensor


def neighbourhood(own: Tensor, counts: Tensor, members: Population) -> Neighbourhood:
    """Locate classes by their neighbours.

    Args:
        own: (K, D) means of the classes' own samples.
        counts: (K,) n_k.
        members: the population of the same classes.
    """
    logs = torch.tensor(LOG_TAUS, dtype=torch.float64)
    found = [_posterior(own, counts, members, tau) for tau in logs.exp().tolist()]
    evidence, shares, means = (torch.stack(part) for part in zip(*found, strict=True))
    weight = (evidence.sum(1) - (logs / SPREAD).square() / 2).softmax(0)
    shares, means = (torch.einsum("t,tkd->kd", weight, part) for part in (shares[:, :, 1:], means))
    return Neighbourhood(means, float((weight @ logs).exp()), shares)


def _posterior(own: Tensor, counts: Tensor, members: Population, tau: float) -> tuple[Tensor, Tensor, Tensor]:
    """Log evidence (K,), shares (K, 1 + K) of the parts (the one for all first), and posterior means (K, D)."""
    players, size = own.shape
    noise = members.within / counts[:, None, None]
    centres = torch.cat([members.mean[None], own])
    priors = torch.cat([members.between[None], noise + tau**2 * members.within])
    total = priors[None] + noise[:, None]
    rest = own[:, None] - centres
    roots = torch.linalg.cholesky(total)
    solved = torch.cholesky_solve(rest.unsqueeze(3), roots)
    logdet = roots.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    log_part = -logdet - (rest * solved.squeeze(3)).sum(-1) / 2 - size / 2 * torch.log(torch.tensor(2 * torch.pi))
    log_part[:, 1:].fill_diagonal_(-torch.inf)
    moved = centres + (priors @ solved).squeeze(3)
    evidence = log_part.logsumexp(1) - torch.log(torch.tensor(float(players)))
    shares = log_part.softmax(1)
    return evidence, shares, (shares.unsqueeze(2) * moved).sum(1)
