"""Foreign networks, trained on a discrete DDPM schedule, in the calling convention of evenscore.

Law: a network sees what it was trained on. A sample of our process at a log SNR is scaled to variance-preserving form,
``x / sqrt(alpha^2 + sigma^2)``, and given the (fractional) index at which the network's schedule has the same log SNR,
found by linear interpolation; beyond the ends of the schedule the nearest index is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError, unknown
from evenscore.prediction import Prediction
from evenscore.process import Process, expand

PREDICTIONS = ("eps", "v", "x0")
"""What a foreign network may predict: noise, ``v = alpha eps - sigma x0`` or the clean sample."""


class Adapter(Denoiser):
    """A foreign network as a denoiser.

    Args:
        network: called as ``network(x (B, *shape), index (B,), y (B,)) -> (B, *shape)``.
        alphas_cumprod: (T,) its schedule, ``alpha^2`` at index 0 .. T-1, falling, between 0 and 1.
        process: the process whose samples it is to denoise.
        num_classes: K; the network is given K for "no class".
        shape: shape of one sample.
        prediction: what it predicts: "eps", "v" or "x0".

    Raises:
        UsageError: an unknown prediction, or a schedule that does not fall within (0, 1).
    """

    schedule: Tensor

    def __init__(
        self,
        network: nn.Module,
        alphas_cumprod: Tensor | Sequence[float],
        process: Process,
        num_classes: int,
        shape: Sequence[int],
        prediction: str = "eps",
    ) -> None:
        super().__init__()
        if prediction not in PREDICTIONS:
            raise unknown("prediction", prediction, PREDICTIONS)
        self.network = network
        self.process = process
        self.num_classes = num_classes
        self.shape = tuple(shape)
        self.prediction = prediction
        self.register_buffer(
            "schedule", _log_snr(torch.as_tensor(alphas_cumprod, dtype=torch.float64)), persistent=False
        )

    def index(self, log_snr: Tensor) -> Tensor:
        """Fractional index of the network's schedule at each log SNR (B,), float64, from 0 to T-1."""
        rising = self.schedule.flip(0)
        level = log_snr.to(rising).clamp(rising[0], rising[-1])
        above = torch.searchsorted(rising, level.contiguous()).clamp(1, len(rising) - 1)
        low, high = rising[above - 1], rising[above]
        return len(rising) - 1 - (above - 1 + (level - low) / (high - low))

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        """Denoise; arguments as in :meth:`Denoiser.forward`."""
        alpha, sigma = self.process.alpha(t), self.process.sigma(t)
        index = self.index(2 * (alpha / sigma).log())
        alpha, sigma = expand(alpha, x_t), expand(sigma, x_t)
        scale = (alpha.square() + sigma.square()).sqrt()
        output = self.network(x_t / scale, index.to(x_t.dtype), y).to(x_t.dtype)
        value = output * scale if self.prediction == "v" else output
        return Prediction.from_view(self.prediction, value, x_t, alpha, sigma)


class DiffusersNetwork(nn.Module):
    """A diffusers ``UNet2DModel`` called as ``network(x, index, y)``; unconditional when it embeds no classes.

    Args:
        unet: the model.
        num_classes: K.

    Raises:
        UsageError: a model that embeds fewer than K classes, or does not return as many channels as it takes.
    """

    def __init__(self, unet: Any, num_classes: int) -> None:
        super().__init__()
        self.unet = unet
        self.num_classes = num_classes
        self.conditional = unet.class_embedding is not None
        self.embedded: int | None = unet.config.num_class_embeds
        if self.conditional and self.embedded is not None and self.embedded < num_classes:
            raise UsageError(f"the model embeds {self.embedded} classes but {num_classes} were named: lower the number")
        if unet.config.in_channels != unet.config.out_channels:
            given, returned = unet.config.in_channels, unet.config.out_channels
            raise UsageError(f"the model takes {given} channels and returns {returned}: give one that returns {given}")

    def forward(self, x: Tensor, index: Tensor, y: Tensor) -> Tensor:
        """The model's output (B, C, H, W).

        Raises:
            UsageError: the null label for a conditional model that has no embedding for it.
        """
        if not self.conditional:
            return self._sample(x, index)
        if self.embedded == self.num_classes and bool((y == self.num_classes).any()):
            raise UsageError("the model has no embedding for 'no class': ask for classes, at guidance scale 1")
        return self._sample(x, index, class_labels=y)

    def _sample(self, *args: Tensor, **labels: Tensor) -> Tensor:
        output: Tensor = self.unet(*args, **labels).sample
        return output


def from_diffusers(
    unet: Any,
    schedule: Any,
    process: Process,
    num_classes: int,
    prediction: str = "eps",
    shape: Sequence[int] | None = None,
) -> Adapter:
    """A diffusers ``UNet2DModel`` as a denoiser.

    Args:
        unet: the model.
        schedule: its scheduler, or that scheduler's ``alphas_cumprod`` (T,).
        process: the process whose samples it is to denoise.
        num_classes: K; a model with K + 1 class embeddings has its null label last.
        prediction: what it predicts: "eps", "v" or "x0".
        shape: (C, H, W) of one sample; None for the size in the model's configuration.

    Raises:
        UsageError: a model, schedule or prediction that does not fit, or a model that does not say its size.
    """
    if shape is None:
        size = unet.config.sample_size
        if size is None:
            raise UsageError("the model's configuration has no sample_size: pass shape=(channels, height, width)")
        shape = (unet.config.in_channels, *((size, size) if isinstance(size, int) else size))
    alphas_cumprod = getattr(schedule, "alphas_cumprod", schedule)
    return Adapter(DiffusersNetwork(unet, num_classes), alphas_cumprod, process, num_classes, shape, prediction)


def _log_snr(alphas_cumprod: Tensor) -> Tensor:
    """Log SNR (T,) of a checked schedule."""
    inside = bool(((alphas_cumprod > 0) & (alphas_cumprod < 1)).all())
    if len(alphas_cumprod) < 2 or not inside or not bool((alphas_cumprod.diff() < 0).all()):
        raise UsageError("the schedule does not fall strictly within (0, 1): give alphas_cumprod, two values at least")
    return torch.logit(alphas_cumprod)
