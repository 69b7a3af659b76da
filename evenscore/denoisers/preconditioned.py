"""The preconditioned denoiser: any backbone, made easy to train at every noise level.

The backbone sees ``(x_t - alpha m) / s`` with unit variance, the noise level as a number that grows evenly in log SNR,
and the label; its output ``F`` is turned into a :class:`~evenscore.prediction.Prediction` as the module
:mod:`evenscore.prediction` states (Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative
Models", section 5; here for any process).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from evenscore.denoisers.base import Denoiser
from evenscore.networks.latents import observer
from evenscore.networks.reserve import Reserved
from evenscore.prediction import Prediction
from evenscore.process import Process, expand

LEVELS = 1000.0
"""Noise levels are given to backbones on the scale 0 .. LEVELS that diffusers' time embeddings expect."""


def noise_level(log_snr: Tensor, span: float = 20.0) -> Tensor:
    """Log SNR from ``span`` to ``-span`` mapped linearly to 0 .. LEVELS, clamped outside (B,)."""
    return ((span - log_snr) / (2 * span)).clamp(0, 1) * LEVELS


class Preconditioned(Denoiser):
    """A backbone with input scaling, output scaling and a skip connection set by the noise level.

    Args:
        backbone: module called as ``backbone(x (B, *shape), level (B,), y (B,), extra (B, E) or None) -> (B, *shape)``.
        process: noise process.
        num_classes: K.
        shape: shape of one sample.
        mean: data mean, one number per channel (first axis of ``shape``).
        std: data standard deviation, one number per channel.

    Attributes:
        parts: modules that an objective trains with it and that predictions do not use, by name.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        process: Process,
        num_classes: int,
        shape: Sequence[int],
        mean: Tensor | float = 0.0,
        std: Tensor | float = 0.5,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.process = process
        self.num_classes = num_classes
        self.shape = tuple(shape)
        self.parts = nn.ModuleDict()
        self.register_buffer("mean", self._per_channel(mean))
        self.register_buffer("std", self._per_channel(std).clamp_min(1e-2))

    def _per_channel(self, value: Tensor | float) -> Tensor:
        given = torch.as_tensor(value, dtype=torch.float32).reshape(-1)
        return given.expand(self.shape[0]).clone().reshape(self.shape[0], *(1,) * (len(self.shape) - 1))

    @property
    def data_std(self) -> Tensor | float:
        return self.std

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor, extra: Tensor | None = None) -> Prediction:
        """Denoise; ``extra`` (B, E) is a further condition of the backbone, such as the augmentation that was applied."""
        return self._said(self.backbone(*self.seen(x_t, t), y, extra), x_t, t)

    def observe(self, x_t: Tensor, t: Tensor, y: Tensor, extra: Tensor | None = None) -> tuple[Prediction, Tensor]:
        raw, latents = observer(self.backbone).observe(*self.seen(x_t, t), y, extra)
        return self._said(raw, x_t, t), latents.to(x_t.dtype)

    def predict_general(self, x_t: Tensor, t: Tensor, y: Tensor, extra: Tensor | None = None) -> Prediction:
        if not isinstance(self.backbone, Reserved):
            return super().predict_general(x_t, t, y)
        return self._said(self.backbone.backbone(*self.seen(x_t, t), y, extra), x_t, t)

    def part(self, name: str) -> nn.Module:
        return self.parts[name] if name in self.parts else super().part(name)

    def _said(self, raw: Tensor, x_t: Tensor, t: Tensor) -> Prediction:
        return Prediction.from_raw(raw.to(x_t.dtype), x_t, t, self.process, self.mean, self.std)

    def seen(self, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """What the backbone is given: samples of unit variance (B, ...), and noise levels (B,)."""
        alpha, _, spread = self._coefficients(t, x_t)
        return (x_t - alpha * self.mean) / spread, noise_level(self.process.log_snr(t))

    def raw_target(self, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """The raw output (B, ...) that would be right: ``F* = (sigma (x0 - m) / d - alpha d eps) / s``.

        Solved from ``x0 = m + (alpha d^2 / s^2) r + (sigma d / s) F`` with ``r = alpha (x0 - m) + sigma eps``. The weighted x0
        error under weighting ``edm``, ``SNR + 1 / d^2 = s^2 / (sigma d)^2``, is ``|F - F*|^2`` exactly.
        """
        alpha, sigma, spread = self._coefficients(t, x0)
        return (sigma * (x0 - self.mean) / self.std - alpha * self.std * eps) / spread

    def _coefficients(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """alpha, sigma and ``s = sqrt(alpha^2 d^2 + sigma^2)``, to broadcast against ``like``."""
        alpha, sigma = expand(self.process.alpha(t), like), expand(self.process.sigma(t), like)
        return alpha, sigma, (alpha.square() * self.std.square() + sigma.square()).sqrt()


class Conditioned(Denoiser):
    """A preconditioned denoiser with its further condition filled in for one batch; the parameters are shared.

    Args:
        inner: the denoiser.
        extra: (B, E) condition of each row.
    """

    def __init__(self, inner: Preconditioned, extra: Tensor) -> None:
        super().__init__()
        self.inner = inner
        self.extra = extra
        self.process, self.num_classes, self.shape = inner.process, inner.num_classes, inner.shape

    @property
    def data_std(self) -> Tensor | float:
        return self.inner.std

    def rows(self, index: Tensor) -> Conditioned:
        return Conditioned(self.inner, self.extra[index])

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        """Denoise a batch of B rows under the stored condition."""
        prediction: Prediction = self.inner(x_t, t, y, self.extra)
        return prediction

    def observe(self, x_t: Tensor, t: Tensor, y: Tensor) -> tuple[Prediction, Tensor]:
        return self.inner.observe(x_t, t, y, self.extra)

    def predict_general(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        return self.inner.predict_general(x_t, t, y, self.extra)

    def part(self, name: str) -> nn.Module:
        return self.inner.part(name)
