"""The closed-form class laws against the Gaussian-mixture oracle that they are a special case of."""

from __future__ import annotations

import pytest
import torch

from evenscore.denoisers.class_kernels import ClassKernels
from evenscore.denoisers.oracle import GaussianMixture
from evenscore.errors import UsageError
from evenscore.process import VP

GENERATOR = torch.Generator().manual_seed(0)
PROCESS = VP()


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.float64)


ROWS = [randn(9, 3), randn(5, 3)]
CENTRES = [rows - rows.mean(0) for rows in ROWS]
MEANS = torch.stack([rows.mean(0) for rows in ROWS])
ROOTS = randn(2, 3, 3)
COVARIANCES = ROOTS @ ROOTS.mT + 0.1 * torch.eye(3, dtype=torch.float64)
WEIGHTS = torch.tensor([3.0, 1.0])


def law(shares: list[float]) -> ClassKernels:
    share = torch.tensor(shares, dtype=torch.float64)
    return ClassKernels(PROCESS, MEANS, COVARIANCES, CENTRES, share, WEIGHTS)


def oracle(shares: list[float]) -> GaussianMixture:
    """The same law, component by component."""
    means = torch.cat([m + a * c for m, a, c in zip(MEANS, shares, CENTRES, strict=True)])
    narrow = [((1 - a**2) * s).expand(len(c), 3, 3) for s, a, c in zip(COVARIANCES, shares, CENTRES, strict=True)]
    return GaussianMixture(PROCESS, means, torch.cat(narrow), [0] * 9 + [1] * 5, None, WEIGHTS)


@pytest.mark.parametrize("shares", [[0.0, 0.0], [0.8, 0.5], [0.0, 0.95]])
def test_predictions_and_densities_are_those_of_the_oracle(shares: list[float]) -> None:
    mine, exact = law(shares), oracle(shares)
    x, t, y = 2 * randn(30, 3), torch.rand(30, generator=GENERATOR, dtype=torch.float64), torch.arange(30) % 3
    a, b = mine.predict(x, t, y), exact.predict(x, t, y)
    torch.testing.assert_close(a.x0, b.x0, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(a.eps, b.eps, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(mine.log_density(x, t, y), exact.log_density(x, t, y), atol=1e-9, rtol=1e-9)


def test_the_clean_density_of_a_gaussian_is_torchs() -> None:
    x, y = randn(20, 3), torch.arange(20) % 2
    wanted = [
        torch.distributions.MultivariateNormal(MEANS[k], COVARIANCES[k]).log_prob(row)
        for row, k in zip(x, y, strict=True)
    ]
    torch.testing.assert_close(law([0.0, 0.0]).clean_log_density(x, y), torch.stack(wanted))


@pytest.mark.parametrize("shares", [[0.0, 0.0], [0.8, 0.9]])
def test_draws_have_the_moments_of_the_law(shares: list[float]) -> None:
    mine, exact = law(shares), oracle(shares)
    for k in range(2):
        x = mine.draw(torch.full((4000,), k), 0, range(4000))
        mean, covariance = exact.moments(k)
        error = (x.mean(0) - mean) / (covariance.diagonal() / 4000).sqrt()
        assert float(error.abs().max()) < 4
        torch.testing.assert_close(x.T.cov(), covariance, atol=0.12 * float(covariance.diagonal().max()), rtol=0)


def test_a_draw_depends_on_its_number_alone() -> None:
    mine, y = law([0.5, 0.5]), torch.tensor([0, 1, 0, 1])
    whole = mine.draw(y, 3, range(4))
    torch.testing.assert_close(mine.draw(y[2:3], 3, [2]), whole[2:3], rtol=0, atol=1e-12)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match=r"shares \[1.0, 0.0\] cannot be used"):
        law([1.0, 0.0])
    with pytest.raises(UsageError, match="differ in number"):
        ClassKernels(PROCESS, MEANS, COVARIANCES[:1], CENTRES, torch.zeros(2), WEIGHTS)
