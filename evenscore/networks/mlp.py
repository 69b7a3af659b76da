"""A residual multilayer perceptron for vectors, conditioned on noise level and label like the image backbone.

Each block normalises, adds the condition, and applies two linear layers round a SiLU; the last layer starts at zero, so
the untrained denoiser is the best one that knows only mean and standard deviation of the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from torch import Tensor, nn


@dataclass(frozen=True)
class MLPSize:
    """Width of the residual stream, and number of blocks."""

    width: int
    blocks: int


MLP_SIZES: Mapping[str, MLPSize] = {
    "tiny": MLPSize(128, 4),
    "small": MLPSize(256, 4),
    "medium": MLPSize(512, 5),
    "base": MLPSize(1024, 6),
    "large": MLPSize(2048, 8),
}


class MLP(nn.Module):
    """(B, D) vectors, (B,) levels, (B,) labels -> (B, D)."""

    def __init__(self, size: MLPSize, dim: int, num_classes: int, condition: int = 0) -> None:
        super().__init__()
        self.frequencies = Timesteps(64, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.level = TimestepEmbedding(64, size.width)
        self.label = nn.Embedding(num_classes + 1, size.width)
        self.condition = nn.Linear(condition, size.width, bias=False) if condition else None
        self.inward = nn.Linear(dim, size.width)
        self.blocks = nn.ModuleList(Block(size.width) for _ in range(size.blocks))
        self.outward = nn.Linear(size.width, dim)
        nn.init.zeros_(self.outward.weight)
        nn.init.zeros_(self.outward.bias)

    def forward(self, x: Tensor, level: Tensor, y: Tensor, extra: Tensor | None = None) -> Tensor:
        """Raw output for normalised noisy vectors; ``extra`` (B, condition) is zero when None."""
        return self.read(self.features(x, level, y, extra))

    def observe(self, x: Tensor, level: Tensor, y: Tensor, extra: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Raw output (B, ...), and latents (B, F) of the same pass."""
        h, latents = self.observed_features(x, level, y, extra)
        return self.read(h), latents

    def features(self, x: Tensor, level: Tensor, y: Tensor, extra: Tensor | None = None) -> Tensor:
        """Trunk features (B, width), what the last learned layer ``outward`` is given."""
        return self.observed_features(x, level, y, extra)[0]

    def observed_features(
        self, x: Tensor, level: Tensor, y: Tensor, extra: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Trunk features, and latents (B, width): what the first half of the blocks makes of the input."""
        given = self.level(self.frequencies(level).to(x.dtype)) + self.label(y)
        if self.condition is not None and extra is not None:
            given = given + self.condition(extra)
        h: Tensor = self.inward(x)
        latents = h
        for i, block in enumerate(self.blocks):
            latents = h if i == len(self.blocks) // 2 else latents
            h = block(h, given)
        return h, latents

    def read(self, h: Tensor) -> Tensor:
        """The raw output (B, D) of trunk features."""
        return self.finish(self.outward(h))

    def finish(self, out: Tensor) -> Tensor:
        """What ``outward`` gives is the output as it is."""
        return out


class Block(nn.Module):
    """(B, width) features and (B, width) condition -> (B, width): normalised, scaled and shifted, and two layers, added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.scale_shift = nn.Linear(width, 2 * width)
        self.body = nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))

    def forward(self, h: Tensor, given: Tensor) -> Tensor:
        """The block's output for features and condition."""
        scale, shift = self.scale_shift(torch.nn.functional.silu(given)).chunk(2, dim=-1)
        out: Tensor = h + self.body(self.norm(h) * (1 + scale) + shift)
        return out
