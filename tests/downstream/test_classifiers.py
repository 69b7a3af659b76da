"""The two classifiers: weight 0 is the real row bit for bit, rows are paired by seed, schedules, and that they learn."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from evenscore.data import Dataset, load
from evenscore.downstream.images import ImageClassifier, schedule
from evenscore.downstream.losses import class_weights
from evenscore.downstream.methods import RECIPES, Recipe
from evenscore.downstream.settings import Settings
from evenscore.downstream.trees import TreeClassifier, training_rows
from evenscore.errors import EvenscoreError

REAL, MIXED = RECIPES["real"], Recipe(ratio=1.0)


def trained(real: Dataset, synthetic: Dataset | None, recipe: Recipe, settings: Settings, seed: int) -> torch.Tensor:
    """Scores of the held-out images."""
    classifier = ImageClassifier(real, synthetic, recipe, settings, seed)
    assert len(list(classifier.train())) == settings.updates("image")
    assert real.test is not None
    return classifier.scores(real.test)


def test_weight_0_is_the_real_row_bit_for_bit(real: Dataset, synthetic: Dataset, settings: Settings) -> None:
    plain = trained(real, None, REAL, settings, 0)
    assert torch.equal(plain, trained(real, synthetic, MIXED, replace(settings, synthetic_weight=0.0), 0))
    assert not torch.equal(plain, trained(real, synthetic, MIXED, settings, 0))


def test_trees_of_weight_0_are_those_of_the_real_row(
    real_vectors: Dataset, synthetic_vectors: Dataset, settings: Settings
) -> None:
    def scores(synthetic: Dataset | None, recipe: Recipe, how: Settings) -> torch.Tensor:
        trees = TreeClassifier(real_vectors, synthetic, recipe, how, 0)
        trees.fit()
        assert real_vectors.test is not None
        return trees.scores(real_vectors.test)

    plain = scores(None, REAL, settings)
    assert torch.equal(plain, scores(synthetic_vectors, MIXED, replace(settings, synthetic_weight=0.0)))
    assert not torch.equal(plain, scores(synthetic_vectors, MIXED, settings))
    torch.testing.assert_close(plain.exp().sum(1), torch.ones(90, dtype=torch.float64))


def test_rows_are_paired_by_seed(real: Dataset, synthetic: Dataset, settings: Settings) -> None:
    """First weights and the changes of samples are those of the seed whatever the recipe; other seeds have others."""
    rows = [ImageClassifier(real, None, recipe, settings, 0) for recipe in RECIPES.values()]
    rows.append(ImageClassifier(real, synthetic, MIXED, settings, 0))
    other = ImageClassifier(real, None, REAL, settings, 1)
    first = rows[0].network.state_dict()
    for row in rows[1:]:
        assert all(torch.equal(value, first[key]) for key, value in row.network.state_dict().items())
    assert not all(torch.equal(value, first[key]) for key, value in other.network.state_dict().items())
    x, y = rows[0]._batch(5)
    for row in (rows[1], rows[3]):
        again, labels = row._batch(5)
        assert torch.equal(again, x)
        assert torch.equal(labels, y)
    assert not torch.equal(other._batch(5)[0], x)


def test_neutral_recipes_are_the_real_row(real: Dataset, settings: Settings) -> None:
    """On equal classes weights are 1 and the prior is constant."""
    even = real.select(np.concatenate([real.of_class(k)[:4] for k in range(3)]))
    plain = trained(even, None, REAL, settings, 0)
    torch.testing.assert_close(trained(even, None, RECIPES["re-weighted"], settings, 0), plain)
    torch.testing.assert_close(
        trained(even, None, RECIPES["balanced-softmax"], settings, 0), plain, rtol=1e-3, atol=1e-4
    )
    moved = trained(real, None, RECIPES["balanced-softmax"], settings, 0)
    assert not torch.allclose(moved, trained(real, None, REAL, settings, 0), atol=1e-3)


def test_over_sampled_batches_are_balanced(real: Dataset, settings: Settings) -> None:
    classifier = ImageClassifier(real, None, RECIPES["over-sampled"], replace(settings, batch_size=9), 0)
    assert torch.bincount(classifier._batch(4)[1]).tolist() == [3, 3, 3]


def test_images_are_normalised_by_the_real_data(real: Dataset, synthetic: Dataset, settings: Settings) -> None:
    classifier = ImageClassifier(real, synthetic, MIXED, replace(settings, augmentation="none"), 0)
    x = classifier._normalised(real.tensor())
    assert float(x.mean()) == pytest.approx(0, abs=1e-4)
    assert float(x.std(correction=0)) == pytest.approx(1, abs=1e-4)


def test_the_schedule_rises_and_falls_to_zero() -> None:
    values = [schedule(step, 100) for step in range(101)]
    assert values[0] == pytest.approx(0.2)
    assert values[4] == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.04)))
    assert values[50] == pytest.approx(0.5)
    assert values[100] == pytest.approx(0, abs=1e-12)
    assert values[5:] == sorted(values[5:], reverse=True)
    assert schedule(0, 1) == 1.0


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_digits_are_learned(optimiser: str) -> None:
    data = load("digits:max=40")
    assert data.test is not None
    settings = Settings(steps=60, batch_size=64, optimiser=optimiser)
    scores = trained(data, None, REAL, settings, 0)
    assert float((scores.argmax(1) == torch.from_numpy(data.test.labels)).double().mean()) > 0.85


def test_half_precision_is_near_single(real: Dataset, settings: Settings) -> None:
    plain = trained(real, None, REAL, replace(settings, lr=1e-3), 0)
    half = trained(real, None, REAL, replace(settings, lr=1e-3, precision="bfloat16"), 0)
    assert not torch.equal(plain, half)
    torch.testing.assert_close(half, plain, rtol=0.2, atol=0.2)


def test_a_loss_that_is_not_finite_is_said(real: Dataset, settings: Settings) -> None:
    with pytest.raises(
        EvenscoreError, match=r"the loss of a classifier became (nan|inf) at step \d+: use a smaller lr"
    ):
        list(ImageClassifier(real, None, REAL, replace(settings, lr=1e30, steps=50), 0).train())


def test_rows_of_trees_by_hand(real_vectors: Dataset, synthetic_vectors: Dataset, settings: Settings) -> None:
    x, y, weight = training_rows(real_vectors, None, RECIPES["over-sampled"], settings)
    assert np.bincount(y).tolist() == [60, 60, 60]
    assert np.array_equal(x[60:90], x[90:120])
    assert set(weight) == {1.0}
    *_, weight = training_rows(real_vectors, None, RECIPES["re-weighted"], settings)
    by_class = class_weights(real_vectors.distribution, "inverse", 0.9)
    assert weight.tolist() == by_class[torch.from_numpy(real_vectors.labels)].tolist()
    assert weight.mean() == pytest.approx(1)
    *_, weight = training_rows(real_vectors, synthetic_vectors, MIXED, replace(settings, synthetic_weight=0.5))
    assert weight.tolist() == [1.0] * 100 + [0.5] * 101
