"""Kernel and energy distance, precision, recall, density, coverage and their replicates, against formulas by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binom
from sklearn.metrics import pairwise_distances
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from evenscore.errors import UsageError
from evenscore.metrics import energy, kernel
from evenscore.metrics import neighbourhood as balls
from evenscore.metrics.energy import energy_distance, energy_estimate
from evenscore.metrics.interval import Resampling
from evenscore.metrics.kernel import kernel_distance, kernel_distance_subsets, kernel_estimate
from evenscore.metrics.neighbourhood import neighbourhood, neighbourhood_estimates, reach
from evenscore.random import generator


def sets(n: int = 90, m: int = 70, d: int = 6, key: str = "") -> tuple[Tensor, Tensor]:
    draws = generator(0, "sets", key)
    x = torch.randn(n, d, generator=draws, dtype=torch.float64) * 0.9 + 0.4
    return x, torch.randn(m, d, generator=draws, dtype=torch.float64)


def unbiased(xx: np.ndarray, yy: np.ndarray, xy: np.ndarray) -> float:
    within = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (xx, yy)]
    return float(within[0] + within[1] - 2 * xy.mean())


def by_hand(x: Tensor, y: Tensor, k: int) -> dict[str, float]:
    """The four measures with scikit-learn's neighbours and all distances at once."""
    radius = [NearestNeighbors(n_neighbors=k).fit(s).kneighbors()[0][:, -1] for s in (x, y)]
    apart = pairwise_distances(y, x)
    inside = apart < radius[1][:, None]
    return {
        "precision": float(inside.any(0).mean()),
        "recall": float((apart < radius[0]).any(1).mean()),
        "density": float(inside.sum() / (k * len(x))),
        "coverage": float((apart.min(1) < radius[1]).mean()),
    }


@pytest.mark.parametrize("chunk", [16, 1024])
def test_distances_equal_the_direct_sums(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "CHUNK", chunk)
    x, y = sets()
    expected = unbiased(*(polynomial_kernel(a, b, degree=3, coef0=1) for a, b in ((x, x), (y, y), (x, y))))
    assert kernel_distance(x, y) == pytest.approx(expected, rel=1e-9)
    expected = unbiased(*(-pairwise_distances(a, b) for a, b in ((x, x), (y, y), (x, y))))
    assert energy_distance(x, y) == pytest.approx(expected, rel=1e-9)


def test_both_are_unbiased_at_any_size() -> None:
    for distance in (kernel_distance, energy_distance):
        found = torch.tensor([distance(*same_law(i)) for i in range(200)])
        assert abs(float(found.mean())) < 3 * float(found.std()) / 200**0.5
        assert bool((found < 0).any())


def same_law(i: int) -> tuple[Tensor, Tensor]:
    draws = generator(1, i)
    return torch.randn(12, 3, generator=draws), torch.randn(25, 3, generator=draws)


def test_subsets_agree_with_the_whole_and_small_sets_take_part_whole() -> None:
    x, y = sets(400, 300)
    mean, spread = kernel_distance_subsets(x, y, seed=0, subsets=60, size=100)
    assert mean == pytest.approx(kernel_distance(x, y), abs=4 * spread / 60**0.5)
    assert kernel_distance_subsets(x, y, seed=0, subsets=2, size=1000) == (
        pytest.approx(kernel_distance(x, y)),
        pytest.approx(0, abs=1e-12),
    )


@pytest.mark.parametrize("estimate", [kernel_estimate, energy_estimate])
def test_a_replicate_weighs_pairs_and_never_pairs_a_row_with_its_copies(estimate: object) -> None:
    x, y = sets(20, 15, 3)
    how = Resampling(3, 4)
    found = (kernel_estimate if estimate is kernel_estimate else energy_estimate)(x, y, how)
    w, v = how.counts(20, "generated")[2], how.counts(15, "reference")[2]
    similar = (
        (lambda a, b: torch.from_numpy(polynomial_kernel(a, b, degree=3, coef0=1)))
        if estimate is kernel_estimate
        else (lambda a, b: -torch.cdist(a, b))
    )

    def within(s: Tensor, c: Tensor) -> Tensor:
        pairs = torch.outer(c, c).fill_diagonal_(0)
        return (similar(s, s) * pairs).sum() / pairs.sum()

    across = (similar(x, y) * torch.outer(w, v)).sum() / (20 * 15)
    assert float(found.replicates[2]) == pytest.approx(float(within(x, w) + within(y, v) - 2 * across), rel=1e-4)


@pytest.mark.parametrize(("k", "chunk"), [(1, 1024), (5, 13), (5, 1024)])
def test_balls_equal_scikit_learns(k: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balls, "CHUNK", chunk)
    x, y = sets()
    assert neighbourhood(x, y, k) == pytest.approx(by_hand(x, y, k), rel=1e-12)
    found = neighbourhood_estimates(x, y, Resampling(0, 2), k)
    assert {name: e.value for name, e in found.items()} == pytest.approx(by_hand(x, y, k), rel=1e-12)


def test_a_subsample_is_measured_as_if_it_were_all_there_is() -> None:
    x, y = sets(150, 120)
    how = Resampling(5, 6)
    found = neighbourhood_estimates(x, y, how, 3)
    kept = [(how.subset(150, "generated", b), how.subset(120, "reference", b)) for b in range(6)]
    direct = [by_hand(x[g], y[r], 3) for g, r in kept]
    for name, estimate in found.items():
        values = torch.tensor([d[name] for d in direct], dtype=torch.float64)
        expected = estimate.value + values - values.mean()
        torch.testing.assert_close(estimate.replicates, expected, rtol=1e-9, atol=1e-9)


def test_points_in_very_many_balls_are_thinned_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blurred samples in the middle lie in nearly every ball: an even choice of pairs gives nearly the same replicates."""
    draws = generator(2)
    y = torch.randn(400, 12, generator=draws, dtype=torch.float64)
    x = 0.1 * torch.randn(300, 12, generator=draws, dtype=torch.float64)
    monkeypatch.setattr(balls, "PAIRS", 10_000)
    whole = neighbourhood_estimates(x, y, Resampling(0, 40))
    monkeypatch.setattr(balls, "PAIRS", 64)
    thinned = neighbourhood_estimates(x, y, Resampling(0, 40))
    assert whole["density"].value == thinned["density"].value > 5
    assert thinned["density"].deviation() == pytest.approx(whole["density"].deviation(), rel=0.25)
    torch.testing.assert_close(thinned["precision"].replicates, whole["precision"].replicates)


def test_known_cases_of_the_balls() -> None:
    x, _ = sets(60, 60)
    assert neighbourhood(x, x, 5) == pytest.approx({"precision": 1, "recall": 1, "density": 1, "coverage": 1}, abs=0.25)
    far = neighbourhood(x + 1000, x, 5)
    assert far == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}
    assert reach(5) == 28
    assert binom.cdf(4, 28, 0.5) < 1e-4 < binom.cdf(4, 27, 0.5)  # fewer than 5 of so many in a half


def test_what_does_not_fit_is_refused() -> None:
    x, y = sets()
    with pytest.raises(
        UsageError, match="5 neighbours among 5 and 70 samples: give a k of at least 1 and more samples"
    ):
        neighbourhood(x[:5], y)
    with pytest.raises(UsageError, match="1 samples are too few for a kernel distance: give at least 2"):
        kernel_distance(x[:1], y)
    with pytest.raises(UsageError, match="1 samples are too few for an energy distance: give at least 2"):
        energy.energy_distance(x, y[:1])
