"""A noise-conditional classifier: ``log p_t(y | x_t)`` for guidance, made of any backbone that gives logits.

The backbone sees ``(x_t - alpha m) / s`` with unit variance and the noise level, as denoisers do.

Law: what it says holds under the label law ``law``, whatever law it learned from. With logits ``f`` learned from batches whose
labels follow ``q``, ``log p_t(y | x) = log softmax(f + log law - log q)_y`` (Bayes' rule). So it can learn
from balanced batches, where rare classes are seen, and guide a denoiser that learned from unequal ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from evenscore.denoisers.preconditioned import noise_level
from evenscore.errors import UsageError
from evenscore.process import Process, expand


class NoisyClassifier(nn.Module):
    """Class probabilities of noisy samples.

    Args:
        backbone: called as ``backbone(x (B, *shape), level (B,), y (B,)) -> (B, K)``; ``y`` is 0, it is told no label.
        process: noise process.
        shape: shape of one sample.
        law: (K,) positive shares of the classes under which the probabilities hold.
        learned: (K,) shares of the classes in the batches that the backbone learns from; None for ``law``.
        mean: data mean, one number per channel.
        std: data standard deviation, one number per channel.

    Raises:
        UsageError: shares that are not positive or not as many as there are classes.
    """

    mean: Tensor
    std: Tensor
    shift: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        process: Process,
        shape: Sequence[int],
        law: Sequence[float],
        learned: Sequence[float] | None = None,
        mean: Tensor | float = 0.0,
        std: Tensor | float = 0.5,
    ) -> None:
        super().__init__()
        batches = law if learned is None else learned
        if len(batches) != len(law) or min(*law, *batches) <= 0:
            raise UsageError(
                "shares of the classes must be positive, and as many in both laws: give one for each class"
            )
        self.backbone, self.process = backbone, process
        self.num_classes, self.shape = len(law), tuple(shape)
        wanted, seen = (torch.tensor(list(shares), dtype=torch.float32) for shares in (law, batches))
        self.register_buffer("shift", (wanted / wanted.sum()).log() - (seen / seen.sum()).log())
        self.register_buffer("mean", self._per_channel(mean))
        self.register_buffer("std", self._per_channel(std).clamp_min(1e-2))

    def _per_channel(self, value: Tensor | float) -> Tensor:
        given = torch.as_tensor(value, dtype=torch.float32).reshape(-1)
        return given.expand(self.shape[0]).clone().reshape(self.shape[0], *(1,) * (len(self.shape) - 1))

    def logits(self, x_t: Tensor, t: Tensor) -> Tensor:
        """(B, K) logits under the law of the batches learned from; what training fits."""
        alpha, sigma = expand(self.process.alpha(t), x_t), expand(self.process.sigma(t), x_t)
        spread = (alpha.square() * self.std.square() + sigma.square()).sqrt()
        level = noise_level(self.process.log_snr(t)).to(self.mean.dtype)
        told = torch.zeros(len(x_t), dtype=torch.int64, device=x_t.device)
        out: Tensor = self.backbone(((x_t - alpha * self.mean) / spread).to(self.mean.dtype), level, told)
        return out

    def log_probabilities(self, x_t: Tensor, t: Tensor) -> Tensor:
        """(B, K) ``log p_t(k | x_t)``, in nats."""
        return (self.logits(x_t, t) + self.shift).log_softmax(1)

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """(B,) ``log p_t(y | x_t)`` of labels below K."""
        return self.log_probabilities(x_t, t).gather(1, y[:, None]).squeeze(1)
