"""Classifier guidance (Dhariwal & Nichol 2021; Song et al. 2021, appendix I): the gradient of a noise-conditional classifier.

Law: ``score(x, t | y) = score(x, t) + scale * grad_x log p_t(y | x)``, that is

    x0' = x0 + scale (sigma^2 / alpha) grad        eps' = eps - scale sigma grad

Scale 0 is the base denoiser. With an unconditional base and the exact classifier, scale 1 is the conditional denoiser, by
Bayes' rule; then the classifier must give the probability under the label law that the base has seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.errors import unknown
from evenscore.guidance.classifier_free import check_scale
from evenscore.prediction import Prediction

LogProbability: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Noisy samples (B, *shape), times (B,), labels (B,) below K -> ``log p_t(y | x_t)`` (B,), differentiable in the samples."""
BASES = ("unconditional", "conditional")


class ClassifierGuided(Denoiser):
    """A denoiser guided by the gradient of a noise-conditional classifier.

    Args:
        denoiser: the base.
        log_probability: the classifier; where it is a module, its weights become a part of this one.
        scale: 0 the base, 1 Bayes' rule, above 1 stronger.
        base: ``unconditional`` (the base is told no class; Song et al.) or ``conditional`` (it is told the class as well; where
            it is guided itself, its own scale says how much that means).
        interval: lowest and highest log SNR at which to guide; None for everywhere.

    Raises:
        UsageError: a negative or infinite scale, an empty interval, or an unknown base.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        log_probability: LogProbability,
        scale: float = 1.0,
        base: str = "unconditional",
        interval: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        check_scale(scale, interval)
        if base not in BASES:
            raise unknown("base of classifier guidance", base, BASES)
        self.denoiser, self.log_probability = denoiser, log_probability
        self.scale, self.base, self.interval = float(scale), base, interval
        self.process, self.num_classes, self.shape = denoiser.process, denoiser.num_classes, denoiser.shape

    @property
    def data_std(self) -> Tensor | float:
        return self.denoiser.data_std

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        """Denoise with guidance; rows with the null label stay as the base has them."""
        plain = self.denoiser.predict(x_t, t, self.null_like(y) if self.base == "unconditional" else y)
        rows = (self._inside(t) & (y != self.null)).nonzero().squeeze(1)
        if self.scale == 0 or not len(rows):
            return plain
        slope = torch.zeros_like(x_t).index_copy(0, rows, self._gradient(x_t[rows], t[rows], y[rows]).to(x_t.dtype))
        alpha, sigma, push = plain.alpha, plain.sigma, self.scale * slope
        return Prediction(x_t, alpha, sigma, plain.x0 + sigma.square() / alpha * push, plain.eps - sigma * push)

    def _inside(self, t: Tensor) -> Tensor:
        """(B,) whether to guide at each time."""
        if self.interval is None:
            return torch.ones_like(t, dtype=torch.bool)
        level = self.process.log_snr(t)
        return (level >= self.interval[0]) & (level <= self.interval[1])

    def _gradient(self, x_t: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """``grad_x log p_t(y | x)`` (B, *shape); differentiable itself where a gradient through ``x_t`` is wanted."""
        if torch.is_grad_enabled() and x_t.requires_grad:
            total = self.log_probability(x_t, t, y).sum()
            (wanted,) = torch.autograd.grad(total, x_t, create_graph=True)
            return wanted
        with torch.inference_mode(False), torch.enable_grad():
            point = x_t.detach().clone().requires_grad_()
            total = self.log_probability(point, t.detach().clone(), y.clone()).sum()
            (gradient,) = torch.autograd.grad(total, point)
        return gradient.detach()
