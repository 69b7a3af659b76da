"""Moments of small classes lean on the others; those of large classes stay their own."""

from __future__ import annotations

import math

import torch

from evenscore.vectors.shrink import class_covariance, class_means, common_covariance, folds

GENERATOR = torch.Generator().manual_seed(0)


def draws(n: int, root: torch.Tensor) -> torch.Tensor:
    return torch.randn(n, len(root), generator=GENERATOR, dtype=torch.float64) @ root.T


ROOT = torch.tensor([[1.0, 0.0, 0.0], [0.9, 0.1, 0.0], [0.0, 0.0, 2.0]], dtype=torch.float64)
TRUTH = ROOT @ ROOT.T


def test_the_common_covariance_is_the_pooled_one_when_there_are_rows_enough() -> None:
    common = common_covariance([draws(3000, ROOT) + 5, draws(3000, ROOT)], seed=0)
    torch.testing.assert_close(common, TRUTH, atol=0.15, rtol=0.05)


def test_the_common_covariance_is_positive_with_fewer_rows_than_numbers() -> None:
    common = common_covariance([torch.randn(3, 10, generator=GENERATOR, dtype=torch.float64), torch.zeros(1, 10)], 0)
    assert float(torch.linalg.eigvalsh(common).min()) > 0
    assert float(torch.linalg.eigvalsh(common_covariance([torch.ones(4, 2), torch.zeros(2, 2)], 0)).min()) > 0


def test_a_class_covariance_is_the_posterior_mean() -> None:
    scatter, common = 4 * torch.eye(2), torch.eye(2)
    torch.testing.assert_close(class_covariance(scatter, 3, common, 5.0), (4 + 5) / 8 * torch.eye(2))
    assert class_covariance(scatter, 3, common, math.inf) is common


def test_means_of_small_classes_are_shrunk_and_of_large_ones_are_not() -> None:
    near = [draws(200, torch.eye(2, dtype=torch.float64)) for _ in range(6)]
    small = draws(2, torch.eye(2, dtype=torch.float64)) + 3
    means = class_means([*near, small], torch.eye(2, dtype=torch.float64))
    torch.testing.assert_close(means[0], near[0].mean(0))
    assert float(means[-1].norm()) < float(small.mean(0).norm())
    pair = class_means([near[0], small], torch.eye(2, dtype=torch.float64))
    torch.testing.assert_close(pair[1], small.mean(0))


def test_folds_leave_every_row_out_once() -> None:
    parts = list(folds(13, 0))
    assert sorted(torch.cat([out for _, out in parts]).tolist()) == list(range(13))
    assert all(sorted([*kept.tolist(), *out.tolist()]) == list(range(13)) for kept, out in parts)
