"""Minority guidance: towards samples of low density, and a score that says how low the density of a sample is.

Um, Lee & Ye 2024, "Don't Play Favorites: Minority Guidance for Diffusion Models". A *minority sample* has low density; it
has nothing to do with a *tail class*, which has few labels: with labels given, everything here is within a class.

Law of the score, with ``x_t = alpha x0 + sigma eps`` at one fixed noise level and ``D`` the predicted clean sample:

    l(x0) = E_eps ||x0 - D(x_t, y)||^2 / numel

For a Gaussian of variance ``s^2`` and mean ``m`` it is ``c + (sigma^2 / (alpha^2 s^2 + sigma^2))^2 ||x0 - m||^2 / numel``:
it grows as the density falls. The paper measures with LPIPS; here it is the mean squared error of the values, which
needs no foreign weights.

Law of guidance by levels (quantiles of the score): ``score + w grad log p(level | x_t, y)``. At ``w = 1``, with the exact
classifier, samples follow ``p(x | y) p(level | x, y)`` exactly. At other ``w`` the law ``p(x) p(level | x)^w`` holds at the
end of the path only, and sampling that merely follows the path is biased. On the reverse SDE the bias is undone by weights
(derived: ``p(level | x_t)`` is a martingale of the unguided reverse process, its power is not; Girsanov's theorem and Ito's
formula give the rest): the log weight of a sample grows at the rate ``g^2 w (w - 1) |grad log p(level | x_t)|^2 / 2``.

Law of self-guidance, without a classifier (in the spirit of Um & Ye 2024, "Self-Guided Generation of Minority Samples
Using Diffusion Models"; this form derived): with ``x0`` predicted from ``x_t``, and ``r = E_eps D(noised x0)`` held
constant, the gradient of ``||x0 - r||^2 / 2`` by ``x_t`` is ``J^T (x0 - r)``, and because ``J = alpha Cov / sigma^2``,

    guided x0 = x0 + w (sigma^2 / alpha) J^T (x0 - r) = x0 + w Cov[x0 | x_t] (x0 - r)

Weight 0 is the plain denoiser bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError
from evenscore.prediction import Prediction
from evenscore.random import SampleNoise, derive_seed

LOG_SNR = -3.6
"""The paper's noise level: step 60 of 100 of its linear schedule."""


def score_noise(seed: int, indices: Sequence[int]) -> SampleNoise:
    """The noise streams of :func:`minority_score` for the samples ``indices``: others than those that sampling draws."""
    return SampleNoise(derive_seed(seed, "minority score"), indices)


@torch.no_grad()
def minority_score(
    denoiser: Denoiser,
    x0: Tensor,
    y: Tensor,
    noise: Callable[[Sequence[int]], Tensor],
    *,
    log_snr: float = LOG_SNR,
    draws: int = 5,
) -> Tensor:
    """How unusual samples are (B,): the mean squared error of reconstructing them from noise. Larger is less dense.

    Args:
        denoiser: in evaluation mode.
        x0: (B, *shape) clean samples.
        y: (B,) labels; the null label scores against all classes together.
        noise: maps the shape of one sample to (B, *shape) standard normal values, as :func:`score_noise` gives them.
        log_snr: the noise level: more noise looks at coarser features. Clamped to the range of the process.
        draws: noised copies of each sample that are averaged.

    Raises:
        UsageError: fewer than one draw.
    """
    if draws < 1:
        raise UsageError(f"a minority score of {draws} draws was asked for: give at least 1")
    t = _time(denoiser, log_snr, x0)
    total = torch.zeros(len(x0), dtype=x0.dtype, device=x0.device)
    for _ in range(draws):
        x_t = denoiser.process.perturb(x0, t, noise(x0.shape[1:]).to(x0))
        total += (x0 - denoiser.predict(x_t, t, y).x0).square().flatten(1).mean(1)
    return total / draws


@dataclass(frozen=True, eq=False)
class Levels:
    """Quantile levels of scores, within each class: level ``L - 1`` holds the least dense ``1 / L`` of a class.

    Attributes:
        bounds: (K, L - 1) rising bounds between the levels of each class.
    """

    bounds: Tensor

    @property
    def count(self) -> int:
        """How many levels L there are."""
        return self.bounds.shape[1] + 1

    @classmethod
    def of(cls, scores: Tensor, y: Tensor, num_classes: int, count: int) -> Levels:
        """Levels of equal size.

        Args:
            scores: (N,) minority scores.
            y: (N,) their classes, each of the K present; zeros with ``num_classes`` 1 for levels over everything.
            num_classes: K.
            count: L, at least 2.

        Raises:
            UsageError: fewer than two levels, or a class without scores.
        """
        if count < 2:
            raise UsageError(f"{count} levels of a minority score were asked for: give at least 2")
        empty = [k for k in range(num_classes) if not bool((y == k).any())]
        if empty:
            raise UsageError(f"class {empty[0]} has no minority score: give scores of every class")
        shares = torch.arange(1, count, dtype=scores.dtype, device=scores.device) / count
        return cls(torch.stack([scores[y == k].quantile(shares) for k in range(num_classes)]))

    def __call__(self, scores: Tensor, y: Tensor) -> Tensor:
        """The level (N,), int64, of each score within its class."""
        return (scores[:, None] >= self.bounds[y]).sum(1)

    def index(self, level: float) -> int:
        """The number of the level that begins at the quantile ``level``: 0.9 of 10 levels is level 9, the last.

        Raises:
            UsageError: a quantile outside [0, 1).
        """
        return level_index(level, self.count)


def level_index(level: float, count: int) -> int:
    """The number of the level, of ``count``, in which the quantile ``level`` lies.

    Raises:
        UsageError: a quantile outside [0, 1).
    """
    if not 0 <= level < 1:
        raise UsageError(f"level={level:g} cannot be used: level must be a quantile from 0 to below 1, such as 0.9")
    return min(int(level * count + 1e-9), count - 1)


class MinorityGuidance(Denoiser):
    """A denoiser guided to a level of the minority score by a noise-conditional classifier of levels.

    Args:
        denoiser: what is guided.
        classifier: called as ``classifier(x_t (B, *shape), t (B,), y (B,)) -> logits (B, L)``, differentiable in ``x_t``.
        level: number of the level to guide to.
        weight: ``w`` of the module's law.

    Raises:
        UsageError: a negative or infinite weight, or a negative level.
    """

    def __init__(self, denoiser: Denoiser, classifier: nn.Module, level: int, weight: float = 3.5) -> None:
        super().__init__()
        check_weight(weight)
        if level < 0:
            raise UsageError(f"level number {level} cannot be used: levels are numbered from 0")
        self.denoiser, self.classifier = denoiser, classifier
        self.level, self.weight = level, float(weight)
        self.process, self.num_classes, self.shape = denoiser.process, denoiser.num_classes, denoiser.shape

    @property
    def data_std(self) -> Tensor | float:
        return self.denoiser.data_std

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        """Denoise, with the gradient of the level's log probability added to the score."""
        plain = self.denoiser.predict(x_t, t, y)
        if self.weight == 0:
            return plain
        with torch.inference_mode(False), torch.enable_grad():
            x, time, label = x_t.clone().detach().requires_grad_(), t.clone(), y.clone()
            chosen = self.classifier(x, time, label).log_softmax(1)[:, self.level]
            (gradient,) = torch.autograd.grad(chosen.sum(), x)
        return tilted(plain, self.weight * gradient)


class SelfMinority(Denoiser):
    """A denoiser that moves away from what it would reconstruct, towards low density, without a classifier.

    Args:
        denoiser: what is guided; differentiated once per evaluation.
        noise: (M, *shape) standard normal values; each is used with both signs, the same for every sample and time, so
            that the guided denoiser is a function and a sample does not depend on its batch.
        weight: ``w`` of the module's law.
        log_snr: the noise level of the reconstruction.

    Raises:
        UsageError: a negative or infinite weight, or noise that does not fit the samples.
    """

    noise: Tensor

    def __init__(self, denoiser: Denoiser, noise: Tensor, weight: float = 1.0, log_snr: float = LOG_SNR) -> None:
        super().__init__()
        check_weight(weight)
        if noise.shape[1:] != denoiser.shape or len(noise) == 0:
            raise UsageError(f"noise of shape {tuple(noise.shape)} does not fit: give (M, {denoiser.shape}) values")
        self.denoiser, self.weight, self.log_snr = denoiser, float(weight), log_snr
        self.register_buffer("noise", torch.cat([noise, -noise]), persistent=False)
        self.process, self.num_classes, self.shape = denoiser.process, denoiser.num_classes, denoiser.shape

    @property
    def data_std(self) -> Tensor | float:
        return self.denoiser.data_std

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        """Denoise, and add the gradient of the reconstruction's discrepancy to the score."""
        if self.weight == 0:
            return self.denoiser.predict(x_t, t, y)
        with torch.inference_mode(False), torch.enable_grad():
            x, time, label = x_t.clone().detach().requires_grad_(), t.clone(), y.clone()
            plain = self.denoiser.predict(x, time, label)
            away = plain.x0.detach() - self._reconstruct(plain.x0.detach(), label)
            (gradient,) = torch.autograd.grad(plain.x0, x, away)
        return tilted(_detached(plain, x_t), self.weight * gradient)

    @torch.no_grad()
    def _reconstruct(self, x0: Tensor, y: Tensor) -> Tensor:
        """The mean of what is predicted from noised copies of ``x0``."""
        t = _time(self.denoiser, self.log_snr, x0)
        total = torch.zeros_like(x0)
        for eps in self.noise.to(x0):
            x_s = self.process.perturb(x0, t, eps.expand_as(x0))
            total += self.denoiser.predict(x_s, t, y).x0
        return total / len(self.noise)


def tilted(prediction: Prediction, gradient: Tensor) -> Prediction:
    """The prediction with ``gradient`` (B, ...) added to its score, in every view (divides by alpha)."""
    sigma, alpha = prediction.sigma, prediction.alpha
    x0 = prediction.x0 + (sigma.square() / alpha) * gradient
    return Prediction(prediction.x_t, alpha, sigma, x0, prediction.eps - sigma * gradient)


def tilt_rate(plain: Prediction, guided: Prediction, diffusion: Tensor, weight: float) -> Tensor:
    """Growth (B,) per unit of time of the log weight that makes samples follow ``p(x) p(level | x)^w`` (see the module).

    Args:
        plain: prediction of the unguided denoiser.
        guided: prediction of :class:`MinorityGuidance` at the same place.
        diffusion: () ``g(t)`` of the process.
        weight: ``w``, above 0.
    """
    gradient = (guided.score - plain.score) / weight
    return diffusion.square() * (weight * (weight - 1) / 2) * gradient.square().flatten(1).sum(1)


def check_weight(weight: float) -> None:
    """Refuse weights without meaning.

    Raises:
        UsageError: a negative or infinite weight.
    """
    if not (math.isfinite(weight) and weight >= 0):
        raise UsageError(f"minority weight is {weight:g}: give a number from 0 (none) on")


def _time(denoiser: Denoiser, log_snr: float, like: Tensor) -> Tensor:
    """(B,) times at which the process has the given log SNR, inside its range."""
    process = denoiser.process
    t = process.time(torch.tensor(log_snr, dtype=torch.float64)).clamp(process.t_min, process.t_max)
    return t.to(like).expand(len(like))


def _detached(prediction: Prediction, x_t: Tensor) -> Prediction:
    x0, eps = prediction.x0.detach(), prediction.eps.detach()
    return Prediction(x_t, prediction.alpha.detach(), prediction.sigma.detach(), x0, eps)
