"""The updates against closed forms: a Gaussian sampler of a Gaussian target on the line, by quadrature instead of samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from evenscore.distill.updates import UPDATES, Score, Update, fisher_update, kl_update
from evenscore.likelihood.divergence import probes

NODES, WEIGHTS = (torch.tensor(v) for v in np.polynomial.hermite_e.hermegauss(30))
CASES = [(1.7, 0.6, 0.0, 1.0), (0.4, -0.3, 1.2, 0.7), (2.0, 1.0, 1.0, 3.0)]
"""Deviation and mean of the sampler, mean and deviation of the target."""


def normal(mean: float, std: float) -> Score:
    return lambda x: -(x - mean) / std**2


def gradient(update: Update, a: float, b: float, m: float, s: float) -> list[float]:
    """Gradient in (a, b) of the mean update of ``x = a z + b`` towards N(m, s^2), with the exact score of the sampler."""
    theta = torch.tensor([a, b], dtype=torch.float64, requires_grad=True)
    x = (theta[0] * NODES + theta[1])[:, None]
    value = (WEIGHTS / WEIGHTS.sum() * update(x, normal(b, a), normal(m, s))).sum()
    (found,) = torch.autograd.grad(value, theta)
    return list(found.tolist())


@pytest.mark.parametrize(("a", "b", "m", "s"), CASES)
def test_the_kl_update_has_the_gradient_of_the_divergence(a: float, b: float, m: float, s: float) -> None:
    """``KL = (a^2 + (b - m)^2) / (2 s^2) - log(a / s) - 1/2``."""
    assert gradient(kl_update, a, b, m, s) == pytest.approx([a / s**2 - 1 / a, (b - m) / s**2], abs=1e-9)


@pytest.mark.parametrize(("a", "b", "m", "s"), CASES)
def test_the_fisher_update_has_the_gradient_of_the_divergence(a: float, b: float, m: float, s: float) -> None:
    """``F = 1/2 (a / s^2 - 1 / a)^2 + 1/2 (b - m)^2 / s^4``."""
    exact = [(a / s**2 - 1 / a) * (1 / s**2 + 1 / a**2), (b - m) / s**4]
    assert gradient(fisher_update, a, b, m, s) == pytest.approx(exact, abs=1e-9)


def test_the_published_figures_of_the_identity() -> None:
    assert gradient(fisher_update, 1.7, 0.6, 0.0, 1.0) == pytest.approx([1.4965, 0.6000], abs=5e-5)


def test_the_first_term_alone_is_wrong() -> None:
    def first(x: Tensor, own: Score, target: Score, probe: Tensor | None = None) -> Tensor:
        return (own(x) - target(x)).square().sum(1) / 2

    alone = gradient(first, 1.7, 0.6, 0.0, 1.0)
    assert alone == pytest.approx([0.7271, 0.3924], abs=1e-4), "what is left without the divergence"


@pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES)
def test_at_the_optimum_nothing_moves(update: Update) -> None:
    assert gradient(update, 0.7, 1.2, 1.2, 0.7) == pytest.approx([0, 0], abs=1e-12)


@pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES)
def test_the_value_is_half_the_squared_gap(update: Update) -> None:
    x = torch.randn(6, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    own, target = normal(0.5, 2.0), lambda v: -v.pow(3)
    expected = (own(x) - target(x)).square().flatten(1).sum(1) / 2
    torch.testing.assert_close(update(x.requires_grad_(), own, target).detach(), expected.detach())


class Field(nn.Module):
    """A smooth score with parameters, of rows of two entries."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.layers = nn.Sequential(nn.Linear(2, 8), nn.SiLU(), nn.Linear(8, 2)).double()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return out


@pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES)
def test_the_gradient_reaches_the_samples_and_no_score(update: Update) -> None:
    own, target = Field(0), Field(1)
    sampler = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    update(sampler * 2, own, target).sum().backward()  # type: ignore[no-untyped-call]
    assert sampler.grad is not None
    assert bool(sampler.grad.any())
    assert all(p.grad is None for field in (own, target) for p in field.parameters())
    assert all(p.requires_grad for field in (own, target) for p in field.parameters())


def test_the_fisher_update_differentiates_both_scores_in_the_samples() -> None:
    """Against the written-out function of x: ``1/2 |u|^2 - s . u - div u``, differentiated by finite differences."""
    own, target = Field(0), Field(1)

    def written(x: Tensor) -> Tensor:
        u = own(x) - target(x)
        jacobian = torch.autograd.functional.jacobian(lambda v: own(v) - target(v), x)
        return u.square().sum() / 2 - (own(x) * u).sum() - torch.diagonal(jacobian).sum()

    x = torch.tensor([0.3, -0.8], dtype=torch.float64, requires_grad=True)
    fisher_update(x[None], own, target).sum().backward()  # type: ignore[no-untyped-call]
    steps = 1e-5 * torch.eye(2, dtype=torch.float64)
    point = x.detach()
    slope = torch.stack([(written(point + h) - written(point - h)) / 2e-5 for h in steps])
    assert x.grad is not None
    torch.testing.assert_close(x.grad, slope.detach(), rtol=1e-6, atol=1e-8)


def test_with_probes_the_fisher_gradient_is_right_on_average() -> None:
    own, target, n = Field(0), Field(1), 4000
    x = torch.tensor([[0.3, -0.8]], dtype=torch.float64).expand(n, 2).clone().requires_grad_()
    (estimates,) = torch.autograd.grad(fisher_update(x, own, target, probes("rademacher", (2,), 3, range(n))).sum(), x)
    (exact,) = torch.autograd.grad(fisher_update(x, own, target).sum(), x)
    error = estimates.std(0) / n**0.5
    assert bool((error > 0).all())
    assert bool(((estimates.mean(0) - exact[0]).abs() < 4 * error).all())
