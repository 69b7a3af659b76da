"""Mixtures of closed-form laws against the Gaussian-mixture oracle, and one law as it is alone."""

from __future__ import annotations

import pytest
import torch

from evenscore.denoisers.class_kernels import ClassKernels
from evenscore.denoisers.class_mixtures import ClassMixtures
from evenscore.denoisers.oracle import GaussianMixture
from evenscore.errors import UsageError
from evenscore.process import VP

GENERATOR = torch.Generator().manual_seed(0)
PROCESS = VP()


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.float64)


MEANS = 3 * randn(4, 3)
ROOTS = randn(4, 3, 3)
COVARIANCES = ROOTS @ ROOTS.mT + 0.1 * torch.eye(3, dtype=torch.float64)
OWNERS = torch.tensor([0, 0, 1, 2])
SHARES = torch.tensor([0.7, 0.3, 1.0, 1.0], dtype=torch.float64)
WEIGHTS = torch.tensor([6.0, 3.0, 1.0])


def kernels() -> ClassKernels:
    none = torch.zeros(4, dtype=torch.float64)
    return ClassKernels(PROCESS, MEANS, COVARIANCES, [torch.zeros(1, 3)] * 4, none, SHARES)


def law() -> ClassMixtures:
    return ClassMixtures(kernels(), OWNERS, SHARES, WEIGHTS)


def oracle() -> GaussianMixture:
    return GaussianMixture(PROCESS, MEANS, COVARIANCES, OWNERS, SHARES, WEIGHTS)


def test_predictions_and_densities_are_those_of_the_oracle() -> None:
    x, t, y = 2 * randn(40, 3), torch.rand(40, generator=GENERATOR, dtype=torch.float64), torch.arange(40) % 4
    a, b = law().predict(x, t, y), oracle().predict(x, t, y)
    torch.testing.assert_close(a.x0, b.x0, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(a.eps, b.eps, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(law().log_density(x, t, y), oracle().log_density(x, t, y), atol=1e-9, rtol=1e-9)


def test_the_clean_density_is_that_of_torchs_mixture() -> None:
    parts = torch.distributions.MultivariateNormal(MEANS[:2], COVARIANCES[:2])
    wanted = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(SHARES[:2]), parts)
    x = randn(20, 3)
    torch.testing.assert_close(law().clean_log_density(x, torch.zeros(20, dtype=torch.int64)), wanted.log_prob(x))


def test_draws_have_the_moments_of_the_law() -> None:
    for k in range(3):
        x = law().draw(torch.full((6000,), k), 0, range(6000))
        mean, covariance = oracle().moments(k)
        assert float(((x.mean(0) - mean) / (covariance.diagonal() / 6000).sqrt()).abs().max()) < 4
        torch.testing.assert_close(x.T.cov(), covariance, atol=0.1 * float(covariance.diagonal().max()), rtol=0)


def test_one_law_is_itself_bit_for_bit() -> None:
    x, t, y = randn(9, 3), torch.rand(9, generator=GENERATOR, dtype=torch.float64), torch.full((9,), 2)
    a, b = law().predict(x, t, y), kernels().predict(x, t, torch.full((9,), 3))
    assert torch.equal(a.x0, b.x0)
    assert torch.equal(law().draw(y, 4, range(9)), kernels().draw(torch.full((9,), 3), 4, range(9)))
    assert torch.equal(law().clean_log_density(x, y), kernels().clean_log_density(x, torch.full((9,), 3)))


def test_a_draw_depends_on_its_number_alone() -> None:
    y = torch.tensor([0, 1, 0, 2])
    torch.testing.assert_close(law().draw(y[2:3], 3, [2]), law().draw(y, 3, range(4))[2:3], rtol=0, atol=1e-12)


def test_it_comes_back_from_its_buffers() -> None:
    back, y = ClassMixtures.restored(PROCESS, 3, law().state_dict()), torch.tensor([0, 1, 0, 2, 0])
    assert torch.equal(back.draw(y, 1, range(5)), law().draw(y, 1, range(5)))


@pytest.mark.parametrize("owners", [[0, 0, 1, 1], [0, 0, 1]])
def test_what_does_not_fit_is_refused(owners: list[int]) -> None:
    with pytest.raises(UsageError, match="give each law a class and a share, and each class a law"):
        ClassMixtures(kernels(), torch.tensor(owners), SHARES, WEIGHTS)
