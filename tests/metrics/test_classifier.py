"""The small classifier: any shape, per-sample results, deterministic fitting, accuracy on digits, very small classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from evenscore.data import digits
from evenscore.errors import DataError, UsageError
from evenscore.metrics import Classifier, agreement, default_steps, fit_classifier, probabilities
from evenscore.metrics.fit import _Balanced, perturb
from evenscore.random import generator, seeded_layers


def points(counts: tuple[int, ...], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Vectors (N,5) around a place per class, 3 apart, with spread 0.5."""
    y = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return 3 * torch.eye(5)[y] + 0.5 * torch.randn(len(y), 5, generator=generator(seed)), y


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 8, 8), (1, 28, 28), (3, 5, 17), (3, 64, 48), (1, 150, 70), (7,)])
def test_any_shape_gives_finite_logits_and_gradients_everywhere(shape: tuple[int, ...]) -> None:
    with seeded_layers(0):
        classifier = Classifier(shape, 3)
    x = torch.randn(2, *shape, generator=generator(1))
    logits = classifier(x)
    logits.square().sum().backward()
    assert logits.shape == (2, 3)
    assert classifier.features(x).ndim == 2
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in classifier.parameters())


@pytest.mark.parametrize("shape", [(1, 3, 9), (2, 2)])
def test_a_shape_that_cannot_be_classified_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="cannot be classified"):
        Classifier(shape, 3)


def test_a_large_image_is_seen_at_64_by_area() -> None:
    with seeded_layers(0):
        classifier = Classifier((1, 128, 128), 2)
    small = torch.randn(2, 1, 64, 64, generator=generator(2))
    checks = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(64, 64)
    large = small.repeat_interleave(2, 2).repeat_interleave(2, 3) + checks
    torch.testing.assert_close(classifier(large), classifier(small), atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 28), (6,)])
def test_probabilities_depend_on_the_sample_alone(shape: tuple[int, ...]) -> None:
    with seeded_layers(0):
        classifier = Classifier(shape, 4)
    x = torch.randn(23, *shape, generator=generator(3))
    order = torch.randperm(23, generator=generator(4))
    whole = probabilities(classifier, x)
    torch.testing.assert_close(whole.sum(1), torch.ones(23))
    assert float(whole.std(0).min()) > 1e-4
    torch.testing.assert_close(probabilities(classifier, x, batch_size=7), whole, atol=1e-5, rtol=0)
    torch.testing.assert_close(probabilities(classifier, x[order], batch_size=1), whole[order], atol=1e-5, rtol=0)
    assert probabilities(classifier, x[:0]).shape == (0, 4)


def test_fitting_depends_on_the_seed_alone() -> None:
    x, y = points((20, 5))
    torch.manual_seed(1)
    first = probabilities(fit_classifier(x, y, 2, seed=7, steps=5), x)
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    again = probabilities(fit_classifier(x, y, 2, seed=7, steps=5), x)
    assert torch.equal(first, again)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not torch.equal(first, probabilities(fit_classifier(x, y, 2, seed=8, steps=5), x))


def test_classes_of_one_to_five_samples_are_learnt_beside_a_large_one() -> None:
    x, y = points((400, 5, 2, 1))
    found = agreement(fit_classifier(x, y, 4, seed=0, steps=150), *points((50, 50, 50, 50), seed=9))
    assert min(rate for rate in found.by_class if rate is not None) >= 0.9


def test_digits_from_36_images_a_class() -> None:
    data = digits()
    chosen = np.concatenate([data.of_class(k)[:36] for k in range(10)])
    rest = np.setdiff1d(np.arange(len(data)), chosen)
    classifier = fit_classifier(data.tensor(chosen), torch.from_numpy(data.labels[chosen]), 10, seed=0, steps=200)
    assert agreement(classifier, data.tensor(rest), torch.from_numpy(data.labels[rest])).overall >= 0.95


def test_batches_are_class_balanced_and_reach_every_sample() -> None:
    y = torch.tensor([2] * 60 + [0] + [3] * 5)
    draw = _Balanced(y, 0, 600)
    index = torch.cat([draw(step) for step in range(5)])
    share = torch.bincount(y[index], minlength=4) / len(index)
    torch.testing.assert_close(share, torch.tensor([1, 0, 1, 1]) / 3, atol=0.035, rtol=0)
    assert len(torch.unique(index)) == len(y)


def test_changes_of_images_are_small_shifts_patches_and_noise() -> None:
    x = torch.linspace(-1, 1, 16).repeat(64, 1, 16, 1)
    changed = perturb(x, generator(0))
    assert changed.shape == x.shape
    assert torch.equal(changed, perturb(x, generator(0)))
    moved = (changed - x).abs().amax((1, 2, 3))
    assert float(moved.min()) > 0.05
    slope = changed.mean((1, 2))[:, 8:].mean(1) - changed.mean((1, 2))[:, :8].mean(1)
    assert float(slope.min()) > 0.2, "an image is never mirrored"


def test_seconds_shorten_the_cycle() -> None:
    x, y = points((10, 10))
    with seeded_layers(3):
        untouched = Classifier((5,), 2)
    stopped = fit_classifier(x, y, 2, seed=3, steps=10**9, seconds=1e-9)
    assert torch.equal(stopped.head.weight, untouched.head.weight)


def test_default_steps_grow_with_the_data_within_bounds() -> None:
    assert [default_steps(n) for n in (1, 360, 14_886, 10**6)] == [300, 300, 854, 1200]


@pytest.mark.parametrize(
    ("y", "options", "error", "message"),
    [
        (torch.tensor([0, 1]), {}, DataError, "one label for each"),
        (torch.tensor([0, 1, 2]), {}, DataError, "labels run from 0 to 2, but there are 2 classes"),
        (torch.tensor([0, -1, 1]), {}, DataError, "labels run from -1"),
        (torch.tensor([0, 1, 1]), {"steps": 0}, UsageError, "at least 1"),
    ],
)
def test_bad_input_is_refused(y: Tensor, options: dict[str, int], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fit_classifier(torch.zeros(3, 5), y, 2, seed=0, **options)
