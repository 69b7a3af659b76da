"""Means with intervals, and the sign of memorisation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evenscore.likelihood import Mean, gap, gaps_by_class, means_by_class


def normal(n: int, seed: int, mean: float = 0.0) -> Tensor:
    return mean + torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_mean_has_the_t_interval_of_the_tables() -> None:
    found = Mean.of(torch.tensor([1.0, 2.0, 3.0]))
    assert (found.n, found.value) == (3, 2.0)
    assert found.interval == pytest.approx((2 - 4.30265 / 3**0.5, 2 + 4.30265 / 3**0.5), abs=1e-4)
    assert Mean.of(torch.tensor([4.0])) == Mean(1, 4.0, None)


def test_intervals_cover_as_often_as_they_say() -> None:
    covered = 0
    for seed in range(600):
        low, high = Mean.of(normal(4, seed)).interval or (1.0, 0.0)
        covered += low <= 0 <= high
    assert 0.92 < covered / 600 < 0.98


def test_classes_without_samples_have_no_mean() -> None:
    found = means_by_class(torch.tensor([1.0, 3.0, 5.0]), torch.tensor([0, 0, 2]), 3)
    assert [m.value if m else None for m in found] == [2.0, None, 5.0]


def test_a_memorised_tail_class_is_seen_from_two_samples() -> None:
    found = gap(normal(2, 0, -8.0), normal(50, 1))
    assert found.value > 5
    assert found.chance < 0.01
    assert found.memorised
    assert not gap(normal(1, 0, -8.0), normal(10, 1)).memorised


def test_small_or_opposite_gaps_are_no_sign() -> None:
    assert not gap(normal(500, 0, -0.4) / 10, normal(500, 1) / 10).memorised
    assert not gap(normal(20, 0, 5.0), normal(20, 1)).memorised


def test_chance_is_uniform_without_a_gap() -> None:
    chances = torch.tensor([gap(normal(3, seed), normal(9, 1000 + seed), seed).chance for seed in range(150)])
    assert 0.4 < float(chances.mean()) < 0.6
    assert float((chances <= 0.1).double().mean()) < 0.2


def test_gaps_by_class_compare_each_class_with_itself() -> None:
    training = (torch.cat([normal(9, 0, -5), normal(9, 1)]), torch.tensor([0] * 9 + [1] * 9))
    held_out = (torch.cat([normal(9, 2), normal(9, 3)]), torch.tensor([0] * 9 + [2] * 9))
    found = gaps_by_class(training, held_out, 3)
    assert found[0] is not None
    assert found[0].memorised
    assert found[1:] == [None, None]
