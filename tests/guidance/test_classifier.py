"""Classifier guidance against the exact conditional score, and the network that learns its classifier."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from evenscore.denoisers.conditional import label_log_probability
from evenscore.denoisers.noisy_classifier import NoisyClassifier
from evenscore.denoisers.oracle import GaussianMixture
from evenscore.errors import UsageError
from evenscore.guidance import ClassifierGuided
from evenscore.process import OU, VE, VP, CosineVP, Process, RectifiedFlow
from evenscore.sampling import Sampler, generate

VIEWS = ("x0", "eps", "score", "v")


def mixture(process: Process | None = None) -> GaussianMixture:
    means = torch.tensor([[1.0, 0.0], [-1.0, 0.5], [0.0, 2.0]])
    return GaussianMixture.isotropic(
        process or VP(), means, [0.4, 0.5, 0.3], [0, 1, 2], class_weights=[0.9, 0.08, 0.02]
    )


class Exact(nn.Module):
    """The exact classifier as a module."""

    def __init__(self, oracle: GaussianMixture) -> None:
        super().__init__()
        self.oracle = oracle

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Tensor:
        return label_log_probability(self.oracle, x_t, t, y)


def batch(labels: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    x_t = torch.randn(len(labels), 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x_t, torch.linspace(0.05, 0.95, len(labels), dtype=torch.float64), torch.tensor(labels)


@pytest.mark.parametrize("process", [VP(), CosineVP(), VE(), OU(), RectifiedFlow()], ids=lambda p: type(p).__name__)
def test_scale_one_with_the_exact_classifier_is_the_conditional_denoiser(process: Process) -> None:
    oracle = mixture(process)
    x_t, t, y = batch([0, 1, 2, 3] * 20)
    found, expected = ClassifierGuided(oracle, Exact(oracle))(x_t, t, y), oracle(x_t, t, y)
    for view in VIEWS:
        torch.testing.assert_close(getattr(found, view), getattr(expected, view), rtol=0, atol=1e-6)


@pytest.mark.parametrize("base", ["unconditional", "conditional"])
def test_the_scale_multiplies_the_gradient_on_either_base(base: str) -> None:
    oracle = mixture()
    x_t, t, y = batch([0, 1, 2, 2, 1, 0])
    plain = oracle(x_t, t, y if base == "conditional" else torch.full_like(y, 3))
    gradient = oracle(x_t, t, y).score - oracle(x_t, t, torch.full_like(y, 3)).score
    found = ClassifierGuided(oracle, Exact(oracle), 2.5, base)(x_t, t, y)
    torch.testing.assert_close(found.score, plain.score + 2.5 * gradient, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(found.alpha * found.x0 + found.sigma * found.eps, x_t, rtol=1e-10, atol=1e-10)


def test_scale_zero_null_labels_and_levels_outside_are_the_base_bit_for_bit() -> None:
    oracle = mixture()
    x_t, t, y = batch([0, 3, 2, 3])
    plain = oracle(x_t, t, torch.full_like(y, 3))
    assert torch.equal(ClassifierGuided(oracle, Exact(oracle), 0.0)(x_t, t, y).eps, plain.eps)
    assert torch.equal(ClassifierGuided(oracle, Exact(oracle), 3.0)(x_t, t, y).x0[y == 3], plain.x0[y == 3])
    outside = ClassifierGuided(oracle, Exact(oracle), 3.0, interval=(50.0, 60.0))(x_t, t, y)
    assert torch.equal(outside.x0, plain.x0)


def test_samples_follow_the_conditional_law() -> None:
    oracle = mixture()
    guided = ClassifierGuided(oracle, Exact(oracle))
    how = {"seed": 0, "sampler": Sampler(nfe=12), "batch_size": 64}
    found = torch.cat([b.x for b in generate(guided, [2] * 64, **how)])
    expected = torch.cat([b.x for b in generate(oracle, [2] * 64, **how)])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_gradients_pass_through() -> None:
    oracle = mixture()
    x_t, t, y = batch([0, 1, 2])
    point = x_t.clone().requires_grad_()
    (found,) = torch.autograd.grad(ClassifierGuided(oracle, Exact(oracle))(point, t, y).x0.sum(), point)
    (expected,) = torch.autograd.grad(oracle(point, t, y).x0.sum(), point)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)


def test_settings_without_meaning_are_refused() -> None:
    oracle = mixture()
    with pytest.raises(UsageError, match="guidance scale is -1"):
        ClassifierGuided(oracle, Exact(oracle), -1.0)
    with pytest.raises(UsageError, match="unknown base of classifier guidance 'condition'"):
        ClassifierGuided(oracle, Exact(oracle), 1.0, "condition")


def test_a_classifier_of_balanced_batches_answers_under_the_law_of_the_data() -> None:
    law, fair = [0.9, 0.08, 0.02], [1.0, 1.0, 1.0]
    even = GaussianMixture.isotropic(VP(), mixture().means, [0.4, 0.5, 0.3], [0, 1, 2], class_weights=fair)

    class Balanced(nn.Module):
        def forward(self, x: Tensor, level: Tensor, y: Tensor) -> Tensor:
            return torch.stack([label_log_probability(even, x_t, t, torch.full((6,), k)) for k in range(3)], 1)

    x_t, t, y = batch([0, 1, 2, 2, 1, 0])
    classifier = NoisyClassifier(Balanced(), VP(), (2,), law, fair)
    expected = label_log_probability(mixture(), x_t, t, y)
    torch.testing.assert_close(classifier(x_t, t, y), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(classifier.log_probabilities(x_t, t).exp().sum(1), torch.ones(6, dtype=torch.float64))
    with pytest.raises(UsageError, match="must be positive"):
        NoisyClassifier(Balanced(), VP(), (2,), [1.0, 0.0])


def test_the_scale_of_the_input_is_one_at_every_level() -> None:
    class Seen(nn.Module):
        def forward(self, x: Tensor, level: Tensor, y: Tensor) -> Tensor:
            self.x = x
            return torch.zeros(len(x), 2)

    backbone = Seen()
    process = VE()
    classifier = NoisyClassifier(backbone, process, (4,), [1.0, 1.0], mean=3.0, std=2.0)
    random = torch.Generator().manual_seed(0)
    for time in (0.0, 0.5, 1.0):
        t = torch.full((4000,), time)
        x0 = 3 + 2 * torch.randn(4000, 4, generator=random)
        out = classifier.log_probabilities(process.perturb(x0, t, torch.randn(4000, 4, generator=random)), t)
        assert math.isclose(float(backbone.x.std()), 1.0, rel_tol=0.05)
        assert abs(float(backbone.x.mean())) < 0.05
        torch.testing.assert_close(out.exp(), torch.full((4000, 2), 0.5))
