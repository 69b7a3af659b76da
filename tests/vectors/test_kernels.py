"""What is chosen for a class: a Gaussian for Gaussian rows, a law near its rows for rows in clusters."""

from __future__ import annotations

import torch

from evenscore.denoisers.class_kernels import ClassKernels
from evenscore.process import VP, Process
from evenscore.vectors.laws import fit_laws

GENERATOR = torch.Generator().manual_seed(0)


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.float64)


def fit_kernels(rows: list[torch.Tensor], process: Process, seed: int) -> ClassKernels:
    """The laws of one mean."""
    return fit_laws(rows, process, seed, parts=()).laws


def test_gaussian_rows_give_a_gaussian_with_their_moments() -> None:
    rows = [randn(800, 3) @ randn(3, 3), randn(300, 3) * torch.tensor([1.0, 2.0, 0.1])]
    fitted = fit_kernels(rows, VP(), seed=0)
    assert fitted.shares.tolist() == [0, 0]
    for k in range(2):
        covariance = fitted.axes[k] @ torch.diag(fitted.variances[k]) @ fitted.axes[k].T
        torch.testing.assert_close(covariance, rows[k].T.cov(), rtol=0.02, atol=0.02)
        torch.testing.assert_close(fitted.means[k], rows[k].mean(0))


def test_rows_in_clusters_keep_near_to_themselves() -> None:
    clusters = torch.where(torch.rand(200, 1, generator=GENERATOR) < 0.5, -5.0, 5.0) + 0.3 * randn(200, 2)
    fitted = fit_kernels([clusters, randn(200, 2)], VP(), seed=0)
    assert float(fitted.shares[0]) >= 0.9
    assert float(fitted.shares[1]) == 0
    drawn = fitted.draw(torch.zeros(500, dtype=torch.int64), 0, range(500))
    assert float((drawn.abs() > 2).all(1).double().mean()) > 0.95


def test_tiny_classes_are_gaussians_with_the_spread_of_all() -> None:
    rows = [randn(400, 4), randn(1, 4) + 3, randn(3, 4) - 3]
    fitted = fit_kernels(rows, VP(), seed=0)
    assert fitted.shares.tolist() == [0, 0, 0]
    torch.testing.assert_close(fitted.variances[1], torch.ones(4, dtype=torch.float64), atol=0.3, rtol=0)


def test_the_fit_is_a_function_of_rows_and_seed() -> None:
    rows = [randn(50, 2), randn(20, 2)]
    one, two = (fit_kernels(rows, VP(), seed=3).state_dict() for _ in range(2))
    assert all(torch.equal(one[key], two[key]) for key in one)
