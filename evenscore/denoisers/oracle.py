"""The exact denoiser of a class-conditional Gaussian mixture: the instrument that everything else is measured with.

Component ``m`` of class ``k`` has mean ``mu``, covariance ``S`` and weight ``w`` within its class. Noised, it is
``N(alpha mu, alpha^2 S + sigma^2 I)``, and with ``u = (alpha^2 S + sigma^2 I)^-1 (x_t - alpha mu)``

    E[x0 | x_t, m] = mu + alpha S u        E[eps | x_t, m] = sigma u

Law: a prediction is the average of these over the components, weighted by their posterior given ``x_t`` and the label;
the null label stands for all classes, weighted by ``class_weights``. Nothing is divided by alpha or sigma.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError
from evenscore.prediction import Prediction
from evenscore.process import Process, expand


class GaussianMixture(Denoiser):
    """Exact denoiser of a Gaussian mixture, computed in float64 whatever the dtype of its input.

    Args:
        process: noise process.
        means: (M, *shape) component means.
        covariances: (M,) variances of isotropic components, (M, *shape) variances of every coordinate, or (M, D, D)
            full covariance matrices, with D the number of coordinates of a sample.
        classes: (M,) class of each component; every class from 0 to K-1 has at least one.
        weights: (M,) positive weights, compared within a class only; None for equal ones.
        class_weights: (K,) positive weights of the classes under the null label; None for equal ones.

    Raises:
        UsageError: shapes that do not fit, a class without component, a weight that is not positive.
    """

    means: Tensor
    variances: Tensor
    axes: Tensor | None
    log_weights: Tensor

    def __init__(
        self,
        process: Process,
        means: Tensor,
        covariances: Tensor,
        classes: Sequence[int] | Tensor,
        weights: Sequence[float] | Tensor | None = None,
        class_weights: Sequence[float] | Tensor | None = None,
    ) -> None:
        super().__init__()
        self.process = process
        self.shape = tuple(means.shape[1:])
        labels = torch.as_tensor(classes, dtype=torch.int64)
        self.num_classes = int(labels.max()) + 1
        variances, axes = _spectrum(covariances.double(), means)
        self.register_buffer("means", means.double().flatten(1))
        self.register_buffer("variances", variances)
        self.register_buffer("axes", axes)
        self.register_buffer("log_weights", _log_weights(labels, self.num_classes, len(means), weights, class_weights))

    @classmethod
    def isotropic(
        cls,
        process: Process,
        means: Tensor,
        stds: Sequence[float] | Tensor,
        classes: Sequence[int] | Tensor,
        weights: Sequence[float] | Tensor | None = None,
        class_weights: Sequence[float] | Tensor | None = None,
    ) -> GaussianMixture:
        """Round components with standard deviations ``stds`` (M,)."""
        spread = torch.as_tensor(stds, dtype=torch.float64)
        return cls(process, means, spread.square(), classes, weights, class_weights)

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        """The exact prediction; arguments as in :meth:`Denoiser.forward`."""
        alpha, sigma = self._coefficients(t)
        share, solved = self._posterior(x_t, alpha, sigma, y)
        clean = self.means + alpha * self._rotate(self.variances * solved)
        x0 = (share * clean).sum(1)
        eps = (share * sigma * self._rotate(solved)).sum(1)
        alpha_t, sigma_t = (expand(c.flatten(), x_t).to(x_t.dtype) for c in (alpha, sigma))
        return Prediction(x_t, alpha_t, sigma_t, x0.to(x_t.dtype).reshape_as(x_t), eps.to(x_t.dtype).reshape_as(x_t))

    def log_density(self, x_t: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """``log p_t(x_t | y)`` (B,) in nats, float64; ``t`` is (B,)."""
        alpha, sigma = self._coefficients(t)
        return self._log_joint(x_t, alpha, sigma, y)[0].logsumexp(1)

    def sample(self, y: Tensor, generator: torch.Generator) -> Tensor:
        """Exact clean draws (B, *shape), float64, for the labels ``y`` (B,)."""
        drawn = torch.multinomial(self.log_weights[y].exp(), 1, generator=generator).squeeze(1)
        noise = torch.randn(len(y), self.means.shape[1], generator=generator, dtype=torch.float64).to(self.means)
        spread = self.variances[drawn].sqrt() * noise
        if self.axes is not None:
            spread = torch.einsum("bde,be->bd", self.axes[drawn], spread)
        return (self.means[drawn] + spread).reshape(-1, *self.shape)

    def moments(self, y: int) -> tuple[Tensor, Tensor]:
        """Mean (*shape) and covariance (D, D) of clean samples of label ``y``; null for the whole mixture."""
        weights = self.log_weights[y].exp()
        mean = weights @ self.means
        apart = self.means - mean
        between = torch.einsum("m,md,me->de", weights, apart, apart)
        if self.axes is None:
            return mean.reshape(self.shape), between + torch.diag(weights @ self.variances)
        within = torch.einsum("m,mdk,mk,mek->de", weights, self.axes, self.variances, self.axes)
        return mean.reshape(self.shape), between + within

    def _coefficients(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """alpha and sigma as (B, 1, 1)."""
        time = t.to(self.means).reshape(-1, 1, 1)
        return self.process.alpha(time), self.process.sigma(time)

    def _log_joint(self, x_t: Tensor, alpha: Tensor, sigma: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Log weight times density of each component (B, M), and ``u`` of the module's law on its axes (B, M, D)."""
        rest = x_t.to(self.means).flatten(1).unsqueeze(1) - alpha * self.means
        if self.axes is not None:
            rest = torch.einsum("bmd,mde->bme", rest, self.axes)
        variance = alpha.square() * self.variances + sigma.square()
        solved = rest / variance
        log_density = -0.5 * (rest * solved + variance.log() + math.log(2 * math.pi)).sum(2)
        return log_density + self.log_weights[y], solved

    def _posterior(self, x_t: Tensor, alpha: Tensor, sigma: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior of each component (B, M, 1), and ``u`` on its axes (B, M, D)."""
        joint, solved = self._log_joint(x_t, alpha, sigma, y)
        return joint.softmax(1).unsqueeze(2), solved

    def _rotate(self, on_axes: Tensor) -> Tensor:
        """From each component's own axes to coordinates (B, M, D)."""
        return on_axes if self.axes is None else torch.einsum("bme,mde->bmd", on_axes, self.axes)


def _spectrum(covariances: Tensor, means: Tensor) -> tuple[Tensor, Tensor | None]:
    """Variances (M, D) along the axes of each component, and these axes (M, D, D), None for the coordinates."""
    count, size = len(means), means[0].numel()
    if covariances.shape == (count,):
        return covariances[:, None].expand(count, size).clone(), None
    if covariances.shape == means.shape:
        return covariances.flatten(1).clone(), None
    if covariances.shape == (count, size, size):
        variances, axes = torch.linalg.eigh(covariances)
        return variances.clamp_min(0), axes
    given, mean = tuple(covariances.shape), tuple(means.shape)
    raise UsageError(
        f"covariances {given} do not fit means {mean}: give ({count},), {mean} or ({count}, {size}, {size})"
    )


def _log_weights(
    labels: Tensor,
    num_classes: int,
    count: int,
    weights: Sequence[float] | Tensor | None,
    class_weights: Sequence[float] | Tensor | None,
) -> Tensor:
    """(K + 1, M) log weight of each component given each label; the last row is the null label's."""
    within = torch.as_tensor([1.0] * count if weights is None else weights, dtype=torch.float64)
    across = torch.as_tensor([1.0] * num_classes if class_weights is None else class_weights, dtype=torch.float64)
    missing = sorted(set(range(num_classes)) - set(labels.tolist()))
    if missing or int(labels.min()) < 0:
        raise UsageError(f"no component belongs to class {missing[:1] or labels.min()}: number the classes 0 to K-1")
    if labels.shape != (count,) or within.shape != (count,) or across.shape != (num_classes,):
        raise UsageError(
            f"{count} components of {num_classes} classes need as many classes and weights: check the lengths"
        )
    if not (bool((within > 0).all()) and bool((across > 0).all())):
        raise UsageError("a mixture weight is not positive: leave the component out, or give a weight above 0")
    member = (labels == torch.arange(num_classes)[:, None]) * within
    given = member / member.sum(1, keepdim=True)
    mixed = across / across.sum() @ given
    return torch.cat([given, mixed[None]]).log()
