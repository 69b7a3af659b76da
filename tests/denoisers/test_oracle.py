"""The oracle against autograd, quadrature by draws, and algebra."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evenscore.denoisers.oracle import GaussianMixture
from evenscore.errors import UsageError
from evenscore.process import PROCESSES, VP, Process

EVERY = pytest.mark.parametrize("process", [cls() for cls in PROCESSES.values()], ids=list(PROCESSES))
CLASSES, WEIGHTS, CLASS_WEIGHTS = [0, 0, 1, 2], [0.7, 0.3, 1.0, 2.0], [0.9, 0.08, 0.02]


def mixture(process: Process, kind: str, shape: tuple[int, ...] = (3,)) -> GaussianMixture:
    """Three classes, four components."""
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(4, *shape, generator=generator, dtype=torch.float64)
    size = means[0].numel()
    root = torch.randn(4, size, size, generator=generator, dtype=torch.float64) / 2
    covariances = {
        "isotropic": torch.tensor([0.2, 0.5, 0.1, 0.4]),
        "diagonal": 0.1 + torch.rand(4, *shape, generator=generator, dtype=torch.float64),
        "full": root @ root.mT + 0.05 * torch.eye(size, dtype=torch.float64),
    }[kind]
    return GaussianMixture(process, means, covariances, CLASSES, WEIGHTS, CLASS_WEIGHTS)


def queries(oracle: GaussianMixture, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Noisy rows with different times and labels, the null label among them."""
    process, generator = oracle.process, torch.Generator().manual_seed(1)
    t = torch.linspace(process.t_min, process.t_max, 12, dtype=torch.float64)
    y = torch.arange(12) % 4
    eps = torch.randn(12, *oracle.shape, generator=generator, dtype=torch.float64)
    return process.perturb(oracle.sample(y, generator), t, eps).to(dtype), t.to(dtype), y


@EVERY
@pytest.mark.parametrize("kind", ["isotropic", "diagonal", "full"])
def test_the_score_is_the_gradient_of_the_log_density(process: Process, kind: str) -> None:
    oracle = mixture(process, kind)
    x_t, t, y = queries(oracle)
    x_t.requires_grad_()
    (gradient,) = torch.autograd.grad(oracle.log_density(x_t, t, y).sum(), x_t)
    prediction = oracle(x_t, t, y)
    torch.testing.assert_close(prediction.score, gradient, rtol=1e-8, atol=1e-8)
    whole = prediction.alpha * prediction.x0 + prediction.sigma * prediction.eps
    torch.testing.assert_close(whole, x_t, rtol=1e-10, atol=1e-10)


def test_the_density_is_that_of_the_noised_mixture() -> None:
    oracle = mixture(VP(), "full")
    x_t, t, y = queries(oracle)
    alpha, sigma = oracle.process.alpha(t), oracle.process.sigma(t)
    axes = oracle.axes
    assert axes is not None
    covariance = axes @ torch.diag_embed(oracle.variances) @ axes.mT
    given = {0: [0.7, 0.3, 0, 0], 1: [0, 0, 1, 0], 2: [0, 0, 0, 1], 3: [0.63, 0.27, 0.08, 0.02]}
    for i in range(len(t)):
        total = torch.zeros((), dtype=torch.float64)
        for m, weight in enumerate(given[int(y[i])]):
            noised = alpha[i] ** 2 * covariance[m] + sigma[i] ** 2 * torch.eye(3, dtype=torch.float64)
            law = torch.distributions.MultivariateNormal(alpha[i] * oracle.means[m], noised)
            total += weight * law.log_prob(x_t[i]).exp()
        torch.testing.assert_close(oracle.log_density(x_t, t, y)[i], total.log(), rtol=1e-9, atol=1e-9)


def test_the_clean_sample_is_the_posterior_mean_of_draws() -> None:
    oracle = mixture(VP(), "full")
    t, label = torch.tensor([0.5], dtype=torch.float64), torch.tensor([3])
    x_t = torch.tensor([[0.4, -0.3, 0.2]], dtype=torch.float64)
    draws = oracle.sample(label.expand(400_000), torch.Generator().manual_seed(2))
    alpha, sigma = oracle.process.alpha(t), oracle.process.sigma(t)
    share = (-((x_t - alpha * draws) / sigma).square().sum(1) / 2).softmax(0)
    torch.testing.assert_close(oracle(x_t, t, label).x0[0], share @ draws, rtol=0, atol=0.01)


@pytest.mark.parametrize("kind", ["isotropic", "diagonal", "full"])
@pytest.mark.parametrize("label", [0, 1, 3])
def test_draws_have_the_stated_moments(kind: str, label: int) -> None:
    oracle = mixture(VP(), kind)
    mean, covariance = oracle.moments(label)
    draws = oracle.sample(torch.full((100_000,), label), torch.Generator().manual_seed(label))
    torch.testing.assert_close(draws.mean(0), mean, rtol=0, atol=0.015)
    torch.testing.assert_close(draws.T.cov(), covariance, rtol=0, atol=0.02)


def test_a_row_does_not_depend_on_its_batch() -> None:
    oracle = mixture(VP(), "full")
    x_t, t, y = queries(oracle)
    together = oracle(x_t, t, y)
    for i in range(len(t)):
        alone = oracle(x_t[i : i + 1], t[i : i + 1], y[i : i + 1])
        torch.testing.assert_close(alone.x0, together.x0[i : i + 1], rtol=1e-12, atol=1e-12)


def test_samples_may_be_images_and_keep_their_dtype() -> None:
    flat, image = mixture(VP(), "diagonal", (4,)), mixture(VP(), "diagonal", (1, 2, 2))
    x_t, t, y = queries(image, torch.float32)
    seen = image(x_t, t, y)
    assert seen.x0.dtype == seen.eps.dtype == seen.score.dtype == torch.float32
    assert seen.x0.shape == x_t.shape == (12, 1, 2, 2)
    expected = flat(x_t.flatten(1).double(), t.double(), y).x0
    torch.testing.assert_close(seen.x0.flatten(1).double(), expected, rtol=1e-5, atol=1e-5)
    assert image.moments(0)[0].shape == (1, 2, 2)


def test_isotropic_takes_standard_deviations_and_equal_weights() -> None:
    means = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 3.0]])
    oracle = GaussianMixture.isotropic(VP(), means, [0.5, 0.5, 0.1], [0, 0, 1])
    mean, covariance = oracle.moments(0)
    torch.testing.assert_close(mean, torch.zeros(2, dtype=torch.float64))
    torch.testing.assert_close(covariance, torch.diag(torch.tensor([1.25, 0.25], dtype=torch.float64)))
    torch.testing.assert_close(oracle.moments(oracle.null)[0], torch.tensor([0.0, 1.5], dtype=torch.float64))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"covariances": torch.ones(4, 2)}, "do not fit means"),
        ({"classes": [0, 0, 2, 2]}, r"no component belongs to class \[1\]"),
        ({"classes": [0, 0, 1]}, "check the lengths"),
        ({"class_weights": [1.0, 1.0]}, "check the lengths"),
        ({"weights": [1.0, 0.0, 1.0, 1.0]}, "not positive"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changed: dict[str, object], words: str) -> None:
    given: dict[str, object] = {"means": torch.zeros(4, 3), "covariances": torch.ones(4), "classes": CLASSES}
    with pytest.raises(UsageError, match=words):
        GaussianMixture(VP(), **{**given, **changed})  # type: ignore[arg-type]
