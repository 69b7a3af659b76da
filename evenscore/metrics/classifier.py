"""A small classifier for images of any size and for vectors, and its class probabilities.

Law: the logits of a sample depend on that sample alone (no statistics of the batch, no dropout), so order and batch size
do not change them; inputs are standardised inside with the mean and scale of the training data.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evenscore.errors import UsageError

SMALLEST, LARGEST = 4, 64
"""Image sides that are taken as they are; a longer side is first averaged down to the larger."""
STRIDED = 20
"""From this side on the first convolution has stride 2."""
VECTOR_WIDTH = 256


class Classifier(nn.Module):
    """Logits (N,K) of images (N,C,H,W) in [-1, 1], or of vectors (N,D).

    Images: a convolution, then three stages of two 3x3 convolutions, each with group norm and GELU; width doubles and the
    side halves between stages. Vectors: two hidden layers of 256.

    Args:
        shape: of one sample, (C,H,W) with sides of at least 4, or (D,).
        num_classes: K.

    Raises:
        UsageError: another shape, or sides below 4.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, shape: Sequence[int], num_classes: int) -> None:
        super().__init__()
        self.shape, self.num_classes = tuple(shape), num_classes
        if len(self.shape) not in (1, 3) or (len(self.shape) == 3 and min(self.shape[1:]) < SMALLEST):
            raise UsageError(f"samples of shape {self.shape} cannot be classified: give (C,H,W) from 4x4 on, or (D,)")
        per_entry = (1, self.shape[0], 1, 1) if len(self.shape) == 3 else (1, self.shape[0])
        self.register_buffer("mean", torch.zeros(per_entry))
        self.register_buffer("scale", torch.ones(per_entry))
        self.body, width = _images(self.shape) if len(self.shape) == 3 else _vectors(self.shape[0])
        self.head = nn.Linear(width, num_classes)

    @torch.no_grad()
    def standardise(self, x: Tensor) -> None:
        """Take mean and scale of each channel (each entry of a vector) from the training data."""
        axes = (0, 2, 3) if x.ndim == 4 else (0,)
        self.mean.copy_(x.mean(axes, keepdim=True))
        self.scale.copy_(x.std(axes, keepdim=True, correction=0).clamp_min(1e-3))

    def features(self, x: Tensor) -> Tensor:
        """What the last layer sees, (N,F): pooled over places for images."""
        z = (x - self.mean) / self.scale
        if z.ndim == 4:
            z = _at_most(z, LARGEST).contiguous(memory_format=torch.channels_last)
        hidden: Tensor = self.body(z)
        return hidden

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N,K)."""
        logits: Tensor = self.head(self.features(x))
        return logits


def _at_most(x: Tensor, side: int) -> Tensor:
    size = tuple(min(n, side) for n in x.shape[2:])
    return x if size == tuple(x.shape[2:]) else F.interpolate(x, size, mode="area")


def _images(shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    """The convolutional body and its number of features."""
    side = min(max(shape[1:]), LARGEST)
    stride, base = (2, 32) if side >= STRIDED else (1, 24)
    layers: list[nn.Module] = [*_convolution(shape[0], base, 2 * stride + 1, stride)]
    before = base
    for stage in range(3):
        width = base * 2**stage
        if stage and side // stride >> stage:
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        layers += [*_convolution(before, width), *_convolution(width, width)]
        before = width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last), before  # type: ignore[call-overload]


def _convolution(before: int, width: int, kernel: int = 3, stride: int = 1) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(before, width, kernel, stride, kernel // 2, bias=False)
    return convolution, nn.GroupNorm(8, width), nn.GELU()


def _vectors(size: int) -> tuple[nn.Module, int]:
    layers: list[nn.Module] = []
    for before in (size, VECTOR_WIDTH):
        layers += [nn.Linear(before, VECTOR_WIDTH), nn.LayerNorm(VECTOR_WIDTH), nn.GELU()]
    return nn.Sequential(*layers), VECTOR_WIDTH


@torch.no_grad()
def probabilities(classifier: Classifier, x: Tensor, batch_size: int = 512) -> Tensor:
    """Class probabilities (N,K), float32 on the CPU; ``x`` is taken to the classifier's device batch by batch."""
    device = classifier.mean.device
    parts = [classifier(part.to(device)).float().softmax(1).cpu() for part in torch.split(x, batch_size)]
    return torch.cat(parts) if parts else torch.empty(0, classifier.num_classes)
