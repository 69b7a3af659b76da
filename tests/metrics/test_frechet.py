"""Frechet distance: closed forms, scipy's matrix root, streaming, the influence of a sample, the bias taken off."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor

from evenscore.errors import DataError, UsageError
from evenscore.metrics.frechet import FeatureStatistics, frechet_distance, frechet_estimates, influence
from evenscore.metrics.interval import Resampling
from evenscore.random import generator


def normal(n: int, d: int, key: str, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=generator(0, key), dtype=torch.float64) * scale + shift


def covariance(d: int, rank: int, key: str) -> Tensor:
    factor = normal(d, rank, key)
    return factor @ factor.T


def textbook(m1: Tensor, c1: Tensor, m2: Tensor, c2: Tensor) -> float:
    root = sqrtm((c1 @ c2).numpy())
    return float((m1 - m2).square().sum() + c1.trace() + c2.trace()) - 2 * float(np.trace(root).real)


def test_given_statistics_give_the_closed_form() -> None:
    m1, m2, c1, c2 = normal(1, 12, "m1")[0], normal(1, 12, "m2")[0], covariance(12, 12, "a"), covariance(12, 15, "b")
    first, second = FeatureStatistics.of_moments(50, m1, c1), FeatureStatistics.of_moments(70, m2, c2)
    assert frechet_distance(first, second) == pytest.approx(textbook(m1, c1, m2, c2), rel=1e-6)
    assert frechet_distance(second, first) == pytest.approx(frechet_distance(first, second), rel=1e-9)


def test_diagonal_covariances_give_the_sum_of_squared_differences() -> None:
    a, b = torch.linspace(0.1, 3, 20, dtype=torch.float64), torch.linspace(2, 0.5, 20, dtype=torch.float64)
    zero = torch.zeros(20, dtype=torch.float64)
    stats = [FeatureStatistics.of_moments(9, mean, torch.diag(s * s)) for mean, s in ((zero, a), (zero + 0.3, b))]
    assert frechet_distance(*stats) == pytest.approx(20 * 0.09 + float((a - b).square().sum()), rel=1e-6)


def test_covariances_of_low_rank_are_exact() -> None:
    basis = torch.linalg.qr(normal(10, 10, "basis")).Q
    a, b = torch.zeros(2, 10, dtype=torch.float64)
    a[:3], b[2:6] = torch.tensor([1.0, 2.0, 3.0]), 4.0
    first, second = ((basis * s.square()) @ basis.T for s in (a, b))
    stats = [FeatureStatistics.of_moments(5, torch.zeros(10), c) for c in (first, second)]
    assert frechet_distance(*stats) == pytest.approx(float((a - b).square().sum()), abs=1e-6)
    assert frechet_distance(stats[0], stats[0]) == pytest.approx(0, abs=1e-6)


def test_fewer_samples_than_features_agree_with_scipy() -> None:
    x, y = normal(15, 40, "x"), normal(23, 40, "y", 1.3, 0.2)
    expected = textbook(x.mean(0), torch.cov(x.T), y.mean(0), torch.cov(y.T))
    assert frechet_distance(FeatureStatistics.of(x), FeatureStatistics.of(y)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_statistics_do_not_depend_on_the_batches(size: int) -> None:
    x = normal(203, 9, "x", 0.01, 1000.0)
    streamed = FeatureStatistics.of_batches(torch.split(x, size))
    assert streamed.count == 203
    torch.testing.assert_close(streamed.mean, x.mean(0), rtol=1e-13, atol=0)
    torch.testing.assert_close(streamed.covariance, torch.cov(x.T), rtol=1e-8, atol=1e-12)


def test_the_influence_is_the_derivative_by_the_weight_of_a_sample() -> None:
    x, y = normal(60, 4, "x", 1.2, 0.3), normal(80, 4, "y")
    first, second = FeatureStatistics.of(x), FeatureStatistics.of(y)
    c2 = second.covariance

    def moved(row: int, step: float) -> float:
        weights = torch.full((60,), (1 - step) / 60, dtype=torch.float64)
        weights[row] += step
        mean = weights @ x
        spread = ((x - mean) * weights[:, None]).T @ (x - mean)
        return textbook(mean, spread, second.mean, c2)

    slopes = torch.tensor([(moved(row, 1e-5) - moved(row, -1e-5)) / 2e-5 for row in range(5)], dtype=torch.float64)
    torch.testing.assert_close(influence(x, first, second)[:5], slopes, rtol=1e-5, atol=1e-6)


def test_the_limit_loses_nearly_all_of_the_bias() -> None:
    """Twenty features and 125 samples of one law: the distance itself is 20 x 25 / (2 x 125) = 2 too large."""
    found = [frechet_estimates(normal(125, 20, f"x{i}"), normal(125, 20, f"y{i}"), Resampling(i, 2)) for i in range(20)]
    plain, limit = (torch.tensor([f[name].value for f in found]).mean() for name in ("frechet", "frechet-limit"))
    assert float(plain) == pytest.approx(2.0, rel=0.1)
    assert abs(float(limit)) < 0.1


def test_replicates_scatter_like_the_estimate() -> None:
    found = [
        frechet_estimates(normal(150, 5, f"x{i}", 1.3, 0.5), normal(150, 5, f"y{i}"), Resampling(i, 200))
        for i in range(40)
    ]
    for name in ("frechet", "frechet-limit"):
        scatter = torch.tensor([f[name].value for f in found]).std()
        said = torch.tensor([f[name].deviation() for f in found]).square().mean().sqrt()
        assert float(said / scatter) == pytest.approx(1, abs=0.3)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="generated features have 3 columns and reference features 4: compute both"):
        frechet_estimates(normal(9, 3, "x"), normal(9, 4, "y"), Resampling())
    with pytest.raises(
        UsageError, match="5 samples are too few for a covariance of generated samples: give at least 6"
    ):
        frechet_estimates(normal(5, 3, "x"), normal(9, 3, "y"), Resampling())
    with pytest.raises(DataError, match="a single sample has no covariance"):
        _ = FeatureStatistics.of(normal(1, 3, "x")).covariance
    with pytest.raises(DataError, match="statistics of 3 and 4 features cannot be merged"):
        FeatureStatistics.of(normal(5, 3, "x")).merge(FeatureStatistics.of(normal(5, 4, "y")))
    with pytest.raises(DataError, match="statistics of 3 and 4 features do not compare"):
        frechet_distance(FeatureStatistics.of(normal(5, 3, "x")), FeatureStatistics.of(normal(5, 4, "y")))
    with pytest.raises(DataError, match="no features were given"):
        FeatureStatistics.of_batches([])
    with pytest.raises(DataError, match=r"1 samples, mean \(3,\) and covariance \(3, 3\)"):
        FeatureStatistics.of_moments(1, torch.zeros(3), torch.eye(3))
    with pytest.raises(DataError, match="features have entries that are not finite"):
        FeatureStatistics.of(torch.full((3, 2), torch.nan))
    with pytest.raises(DataError, match=r"features have shape \(4,\): give a matrix"):
        FeatureStatistics.of(torch.zeros(4))
