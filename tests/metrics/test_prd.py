"""PRD's F scores and the Inception-style score against formulas by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from evenscore.errors import DataError, UsageError
from evenscore.metrics.inception_score import inception_estimate, inception_score
from evenscore.metrics.interval import Resampling
from evenscore.metrics.prd import curve, f_beta, prd, prd_estimates
from evenscore.random import generator


def test_a_curve_by_hand() -> None:
    """All reference modes alike, the generator knows half of them: recall 1/2 at precision 1."""
    p, q = torch.full((4,), 0.25, dtype=torch.float64), torch.tensor([0.5, 0.5, 0, 0], dtype=torch.float64)
    precision, recall = curve(q, p)
    assert precision.shape == recall.shape == (1001,)
    assert float(precision.max()) == pytest.approx(1)
    assert float(recall.max()) == pytest.approx(0.5)
    beta = 8.0
    assert float(f_beta(precision, recall, beta)) == pytest.approx((1 + 64) * 0.5 / (64 + 0.5), rel=2e-3)
    assert float(f_beta(precision, recall, 1 / beta)) == pytest.approx((1 + 1 / 64) * 0.5 / (1 / 64 + 0.5), rel=2e-3)


def test_the_curve_is_the_papers_algorithm() -> None:
    draws = np.random.default_rng(0)
    p, q = draws.dirichlet(np.ones(30)), draws.dirichlet(np.ones(30))
    slopes = np.tan(np.linspace(1e-6, math.pi / 2 - 1e-6, 1001))
    precision, recall = curve(torch.from_numpy(q), torch.from_numpy(p))
    np.testing.assert_allclose(precision, np.minimum(slopes[:, None] * p, q).sum(1).clip(0, 1), rtol=1e-9)
    np.testing.assert_allclose(recall, np.minimum(p, q / slopes[:, None]).sum(1).clip(0, 1), rtol=1e-6)


def test_missing_modes_cost_recall_and_invented_modes_precision() -> None:
    draws = generator(0)
    centres = 30 * torch.eye(4, dtype=torch.float64)
    noise = torch.randn(2, 400, 4, generator=draws, dtype=torch.float64)
    every, half = centres[torch.arange(400) % 4] + noise[0], centres[torch.arange(400) % 2] + noise[1]
    recall_weighed, precision_weighed = prd(half, every, classes=1, seed=0)
    assert recall_weighed < 0.6 < 0.9 < precision_weighed
    recall_weighed, precision_weighed = prd(every, half, classes=1, seed=0)
    assert precision_weighed < 0.6 < 0.9 < recall_weighed
    assert prd(every, every, classes=1, seed=0) == pytest.approx((1, 1))
    assert prd(every + 1000, every, classes=1, seed=0) == pytest.approx((0, 0), abs=1e-9)


def test_replicates_lie_round_the_value() -> None:
    draws = generator(1)
    x, y = torch.randn(2, 300, 3, generator=draws, dtype=torch.float64)
    for estimate in prd_estimates(x + 0.5, y, Resampling(0, 50), classes=2).values():
        assert abs(float(estimate.replicates.mean()) - estimate.value) < 6 * estimate.deviation()
        assert 0 < estimate.deviation() < 0.1
    with pytest.raises(UsageError, match="60 clusters of 300 generated and 40 reference samples: give at least 20"):
        prd(x, y[:40], classes=3, seed=0)


def test_the_score_by_hand() -> None:
    sure = torch.eye(5, dtype=torch.float64)[torch.arange(1000) % 5]
    assert inception_score(sure, seed=0, splits=1) == pytest.approx((5, 0))
    assert inception_score(sure, seed=0)[0] == pytest.approx(5, rel=0.05)
    assert inception_score(torch.full((50, 5), 0.2), seed=0)[0] == pytest.approx(1)
    p = torch.softmax(torch.randn(200, 6, generator=generator(2), dtype=torch.float64), 1)
    divergence = (p * (p / p.mean(0)).log()).sum(1).mean()
    assert inception_score(p, seed=0, splits=1)[0] == pytest.approx(float(divergence.exp()), rel=1e-12)


def test_the_score_does_not_depend_on_the_order() -> None:
    p = torch.softmax(3 * torch.randn(205, 6, generator=generator(3), dtype=torch.float64), 1)
    shuffled = p[torch.randperm(205, generator=generator(4))]
    assert inception_score(shuffled, seed=0) == inception_score(p, seed=0)
    first, second = (inception_estimate(s, Resampling(0, 20)) for s in (p, shuffled))
    assert first.value == second.value
    torch.testing.assert_close(first.replicates, second.replicates)
    assert first.deviation() > 0


def test_rows_that_are_no_probabilities_are_refused() -> None:
    with pytest.raises(DataError, match="negative or do not sum to 1"):
        inception_score(torch.ones(20, 3), seed=0)
    with pytest.raises(UsageError, match="10 splits of 4 samples: give from 1 to 4"):
        inception_score(torch.full((4, 2), 0.5), seed=0)
