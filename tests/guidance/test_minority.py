"""Minority score and guidance against closed forms: one Gaussian, and a mixture with a rare mode."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from evenscore.denoisers.oracle import GaussianMixture
from evenscore.errors import UsageError
from evenscore.guidance import Levels, MinorityGuidance, SelfMinority, minority_score, score_noise
from evenscore.guidance.levels import fit_levels
from evenscore.guidance.minority import level_index, tilt_rate, tilted
from evenscore.process import VE, VP, Process, RectifiedFlow
from evenscore.random import SampleNoise

RARE = 0.05


def gaussian(process: Process, std: float = 0.7) -> GaussianMixture:
    return GaussianMixture.isotropic(process, torch.tensor([[0.4, -0.2, 0.1]]), [std], [0])


def mixture() -> GaussianMixture:
    means = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    return GaussianMixture.isotropic(VP(), means, [0.3, 0.3], [0, 0], weights=[1 - RARE, RARE])


def labels(n: int) -> Tensor:
    return torch.zeros(n, dtype=torch.int64)


def auroc(scores: Tensor, positive: Tensor) -> float:
    """Probability that a positive has the larger score."""
    rank = scores.argsort().argsort().double() + 1
    n = int(positive.sum())
    return float((rank[positive].sum() - n * (n + 1) / 2) / (n * (len(scores) - n)))


@pytest.mark.parametrize("process", [VP(), VE(), RectifiedFlow()], ids=lambda p: type(p).__name__)
def test_within_a_gaussian_the_score_is_a_quadratic_of_the_distance(process: Process) -> None:
    std, log_snr = 0.7, -1.0
    oracle = gaussian(process, std)
    x0 = oracle.sample(labels(6), torch.Generator().manual_seed(0))
    ratio = math.exp(log_snr)  # alpha^2 / sigma^2
    shrink = 1 / (ratio * std**2 + 1)
    noisy = (1 - shrink) ** 2 / ratio  # of the reconstruction, per coordinate
    expected = shrink**2 * (x0 - oracle.means[0]).square().mean(1) + noisy

    signs = iter([1.0, -1.0])  # both signs of noise with unit squares: the mean over two draws is exact

    def draw(shape: Sequence[int]) -> Tensor:
        return torch.full((6, *shape), next(signs), dtype=torch.float64)

    found = minority_score(oracle, x0, labels(6), draw, log_snr=log_snr, draws=2)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)
    dense = -oracle.log_density(x0, torch.full((6,), process.t_min), labels(6))
    assert found.argsort().tolist() == dense.argsort().tolist()


def test_the_score_finds_the_rare_mode() -> None:
    oracle, n = mixture(), 1000
    x0 = oracle.sample(labels(n), torch.Generator().manual_seed(1))
    scores = minority_score(oracle, x0, labels(n), score_noise(0, range(n)))
    assert auroc(scores, x0[:, 0] > 0) >= 0.95


def test_a_score_is_the_same_alone_and_in_a_batch_and_not_that_of_the_sampling_noise() -> None:
    oracle = mixture()
    x0 = oracle.sample(labels(8), torch.Generator().manual_seed(2))
    whole = minority_score(oracle, x0, labels(8), score_noise(3, range(8)))
    alone = minority_score(oracle, x0[5:6], labels(1), score_noise(3, [5]))
    assert torch.equal(alone, whole[5:6])
    assert not torch.equal(score_noise(3, [5])((4,)), SampleNoise(3, [5])((4,)))
    with pytest.raises(UsageError, match="a minority score of 0 draws was asked for: give at least 1"):
        minority_score(oracle, x0, labels(8), score_noise(3, range(8)), draws=0)


def test_levels_are_equal_shares_of_each_class() -> None:
    scores = torch.cat([torch.arange(40.0), 1000 + torch.arange(20.0)])
    y = torch.tensor([0] * 40 + [1] * 20)
    levels = Levels.of(scores, y, 2, 4)
    assert levels.count == 4
    for k, size in ((0, 10), (1, 5)):
        assert levels(scores, y)[y == k].bincount().tolist() == [size] * 4
    assert levels(torch.tensor([39.0, 39.0]), torch.tensor([0, 1])).tolist() == [3, 0], "rare is rare within a class"
    assert [levels.index(q) for q in (0, 0.5, 0.75, 0.99)] == [0, 2, 3, 3]
    assert level_index(0.9, 10) == 9
    assert level_index(0.99, 100) == 99
    for wrong in (1.0, -0.1):
        with pytest.raises(UsageError, match="level must be a quantile from 0 to below 1"):
            levels.index(wrong)
    with pytest.raises(UsageError, match="class 2 has no minority score"):
        Levels.of(scores, y, 3, 4)
    with pytest.raises(UsageError, match="1 levels of a minority score were asked for"):
        Levels.of(scores, y, 2, 1)


class RareMode(nn.Module):
    """The exact posterior of the two modes given a noisy sample: level 1 is the rare one."""

    def __init__(self, oracle: GaussianMixture) -> None:
        super().__init__()
        self.oracle = oracle

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Tensor:
        alpha, sigma = (c.reshape(-1, 1, 1) for c in (self.oracle.process.alpha(t), self.oracle.process.sigma(t)))
        variance = alpha.square() * 0.09 + sigma.square()
        gaps = (x_t.unsqueeze(1) - alpha * self.oracle.means).square() / variance
        return -gaps.sum(2) / 2 + self.oracle.log_weights[0]


@pytest.mark.parametrize("inference", ["on", "off"])
def test_with_the_exact_classifier_weight_one_is_the_mode_itself(inference: str) -> None:
    oracle = mixture()
    alone = GaussianMixture.isotropic(VP(), torch.tensor([[1.0, 0.0]]), [0.3], [0])
    x_t = torch.randn(12, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    t = torch.linspace(0.05, 0.95, 12, dtype=torch.float64)
    with torch.inference_mode(inference == "on"):
        guided = MinorityGuidance(oracle, RareMode(oracle), 1, 1.0)
        found, expected = guided.predict(x_t, t, labels(12)), alone.predict(x_t, t, labels(12))
        whole = found.alpha * found.x0 + found.sigma * found.eps
    torch.testing.assert_close(found.score, expected.score, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(whole, x_t, rtol=1e-9, atol=1e-9)


def test_the_rate_of_the_weights_by_hand() -> None:
    oracle = mixture()
    x_t, t = torch.randn(4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64), torch.tensor(0.4)
    plain = oracle.predict(x_t, t.expand(4).double(), labels(4))
    gradient = torch.tensor([[1.0, 0.0], [0.0, -2.0], [0.0, 0.0], [3.0, 4.0]], dtype=torch.float64)
    for w, expected in ((2.0, [4.0, 16.0, 0.0, 100.0]), (1.0, [0.0] * 4)):
        guided = tilted(plain, w * gradient)
        found = tilt_rate(plain, guided, torch.tensor(2.0, dtype=torch.float64), w)
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-6, atol=1e-9)


def test_weight_zero_is_the_plain_denoiser_bit_for_bit() -> None:
    oracle = mixture()
    x_t, t = torch.randn(5, 2, generator=torch.Generator().manual_seed(0)), torch.linspace(0.1, 0.9, 5)
    plain = oracle.predict(x_t, t, labels(5))
    for guided in (MinorityGuidance(oracle, RareMode(oracle), 1, 0.0), SelfMinority(oracle, torch.ones(1, 2), 0.0)):
        found = guided.predict(x_t, t, labels(5))
        assert torch.equal(found.x0, plain.x0)
        assert torch.equal(found.eps, plain.eps)


def test_self_guidance_of_a_gaussian_in_closed_form() -> None:
    std, weight, log_snr = 0.7, 0.8, -1.0
    oracle = gaussian(VP(), std)
    x_t = torch.randn(9, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    t = torch.linspace(0.05, 0.95, 9, dtype=torch.float64)
    noise = torch.randn(2, 3, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found = SelfMinority(oracle, noise, weight, log_snr).predict(x_t, t, labels(9))
    plain = oracle.predict(x_t, t, labels(9))
    alpha, sigma = plain.alpha, plain.sigma
    covariance = std**2 * sigma.square() / (alpha.square() * std**2 + sigma.square())
    away = (plain.x0 - oracle.means[0]) / (math.exp(log_snr) * std**2 + 1)  # antithetic noise leaves the mean exact
    torch.testing.assert_close(found.x0, plain.x0 + weight * covariance * away, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(alpha * found.x0 + sigma * found.eps, x_t, rtol=1e-6, atol=1e-8)


def test_self_guidance_does_not_depend_on_the_batch() -> None:
    oracle = mixture()
    guided = SelfMinority(oracle, torch.randn(1, 2, generator=torch.Generator().manual_seed(1)))
    x_t, t = torch.randn(6, 2, generator=torch.Generator().manual_seed(0)), torch.full((6,), 0.5)
    whole, alone = guided.predict(x_t, t, labels(6)), guided.predict(x_t[2:3], t[:1], labels(1))
    torch.testing.assert_close(alone.x0, whole.x0[2:3], rtol=1e-6, atol=1e-6)


def test_the_classifier_of_levels_learns_and_is_fixed_by_its_seed() -> None:
    oracle, n = mixture(), 400
    x0 = oracle.sample(labels(n), torch.Generator().manual_seed(1)).float()
    rare = (x0[:, 0] > 0).long()
    one, other = (fit_levels(oracle, x0, labels(n), rare, 2, seed=4, steps=60, batch_size=64) for _ in range(2))
    t = torch.full((n,), 0.1)
    x_t = VP().perturb(x0, t, torch.randn(x0.shape, generator=torch.Generator().manual_seed(2)))
    logits = one(x_t, t, labels(n))
    assert torch.equal(logits, other(x_t, t, labels(n)))
    assert auroc(logits[:, 1] - logits[:, 0], rare == 1) > 0.95
    noise = torch.randn(n, 2, generator=torch.Generator().manual_seed(3))
    share = one(noise, torch.ones(n), labels(n)).softmax(1)[:, 1]
    assert 0 < float(share.median()) < 0.15, "in noise it knows little more than the share of the rare mode"


def test_settings_without_meaning_are_refused() -> None:
    oracle = mixture()
    for weight in (-1.0, math.inf):
        with pytest.raises(UsageError, match="minority weight is .*: give a number from 0"):
            MinorityGuidance(oracle, RareMode(oracle), 1, weight)
    with pytest.raises(UsageError, match="levels are numbered from 0"):
        MinorityGuidance(oracle, RareMode(oracle), -1)
    with pytest.raises(UsageError, match="noise of shape"):
        SelfMinority(oracle, torch.ones(2, 3))
    with pytest.raises(UsageError, match="give one of each, and some"):
        fit_levels(oracle, torch.ones(2, 2), labels(3), labels(2), 2, seed=0)
    with pytest.raises(UsageError, match="0 steps of 128 samples"):
        fit_levels(oracle, torch.ones(2, 2), labels(2), labels(2), 2, seed=0, steps=0)
