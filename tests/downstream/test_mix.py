"""Mixing: exact counts of synthetic samples, which ones, and how often they are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from evenscore.data import Dataset, Loader
from evenscore.downstream.mix import Batches, choose, used_counts, wanted_counts
from evenscore.random import derive_seed


def test_counts_by_hand() -> None:
    counts = (100, 41, 7)
    assert wanted_counts(counts, 1) == (0, 59, 93)
    assert wanted_counts(counts, 0.25) == (0, 15, 23)
    assert used_counts(counts, (500, 20, 50), 0.25) == (0, 15, 23)
    assert used_counts(counts, (500, 20, 50), 1) == (0, 20, 50)
    assert used_counts(counts, (0, 500, 500), 2) == (0, 118, 186)


def test_at_ratio_1_all_classes_are_as_large_as_the_largest() -> None:
    counts = (24, 8, 4)
    assert [n + more for n, more in zip(counts, used_counts(counts, (99, 99, 99), 1), strict=True)] == [24, 24, 24]


def test_chosen_samples_are_exact_seeded_and_nested(synthetic: Dataset) -> None:
    few, many = choose(synthetic, (0, 5, 3), 0), choose(synthetic, (0, 12, 7), 0)
    assert np.bincount(synthetic.labels[few], minlength=3).tolist() == [0, 5, 3]
    assert np.bincount(synthetic.labels[many], minlength=3).tolist() == [0, 12, 7]
    assert set(few) < set(many)
    assert len(set(many)) == 19
    assert not np.array_equal(few, choose(synthetic, (0, 5, 3), 1))
    assert np.array_equal(few, choose(synthetic, (0, 5, 3), 0))


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_without_weight_or_samples_batches_are_those_of_the_loader(
    real: Dataset, synthetic: Dataset, weight: float
) -> None:
    plain = Loader(real, 8, "as-found", derive_seed(3, "downstream", "real"))
    batches = Batches(real, synthetic if weight == 0 else None, "as-found", weight, 8, 3)
    for step in range(20):
        mine, made = batches(step)
        assert np.array_equal(mine, plain.batch(step))
        assert len(made) == 0


@pytest.mark.parametrize("weight", [0.3, 1.0, 2.5])
def test_a_synthetic_sample_is_drawn_as_often_as_its_weight_says(
    real: Dataset, synthetic: Dataset, weight: float
) -> None:
    batches = Batches(real, synthetic, "as-found", weight, 8, 0)
    drawn = [batches(step) for step in range(1000)]
    assert {len(a) + len(b) for a, b in drawn} == {8}
    often = np.bincount(np.concatenate([a for a, _ in drawn]), minlength=len(real))
    made = np.bincount(np.concatenate([b for _, b in drawn]), minlength=len(synthetic))
    assert often.max() - often.min() <= 1
    assert made.max() - made.min() <= 1
    assert made.mean() / often.mean() == pytest.approx(weight, rel=0.01)


def test_a_step_is_the_same_in_any_order(real: Dataset, synthetic: Dataset) -> None:
    once, again = (Batches(real, synthetic, "as-found", 0.7, 8, 0) for _ in range(2))
    forwards = [once(step) for step in range(12)]
    backwards = [again(step) for step in reversed(range(12))][::-1]
    for (a, b), (c, d) in zip(forwards, backwards, strict=True):
        assert np.array_equal(a, c)
        assert np.array_equal(b, d)
