"""A small network from noisy samples to logits, conditioned on noise level and label: a body for noisy classifiers.

Images: a convolution, then residual blocks with the side halved between them down to at most 4, and a linear layer over all
places, because whether a sample is unusual depends on where things are. Vectors: residual blocks. Large images are first cut
into patches as by the image backbone. The last layer starts at zero, so the untrained classifier says nothing and guides
nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from torch import Tensor, nn
from torch.nn import functional as F

EMBEDDING = 128
WIDTH = 128
IMAGE_WIDTHS = (32, 64, 64)
VECTOR_WIDTHS = (WIDTH, WIDTH, WIDTH)
SMALLEST_SIDE, LARGEST_SIDE = 4, 16
"""Images whose longer side is larger are cut into patches first."""


class LevelNet(nn.Module):
    """(B, *shape) normalised noisy samples, (B,) levels, (B,) labels -> (B, outputs) logits.

    Args:
        shape: (C, H, W) or (D,).
        num_classes: K; label K is the null class.
        outputs: number of logits.
    """

    def __init__(self, shape: Sequence[int], num_classes: int, outputs: int) -> None:
        super().__init__()
        self.frequencies = Timesteps(64, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.level = TimestepEmbedding(64, EMBEDDING)
        self.label = nn.Embedding(num_classes + 1, EMBEDDING)
        self.patch = _patch(shape)
        widths = IMAGE_WIDTHS if len(shape) == 3 else VECTOR_WIDTHS
        size = shape[0] * self.patch**2 if len(shape) == 3 else shape[0]
        block: type[_ImageBlock] | type[_VectorBlock] = _ImageBlock if len(shape) == 3 else _VectorBlock
        before = (widths[0], *widths[:-1])
        self.inward = nn.Conv2d(size, widths[0], 3, padding=1) if len(shape) == 3 else nn.Linear(size, widths[0])
        self.blocks = nn.ModuleList(block(a, b) for a, b in zip(before, widths, strict=True))
        self.gather = nn.Linear(widths[-1] * _places(shape, self.patch), WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.outward = nn.Linear(WIDTH, outputs)
        nn.init.zeros_(self.outward.weight)
        nn.init.zeros_(self.outward.bias)

    def forward(self, x: Tensor, level: Tensor, y: Tensor) -> Tensor:
        """Logits (B, outputs)."""
        given = F.silu(self.level(self.frequencies(level).to(x.dtype)) + self.label(y))
        h = self.inward(self._patches(x) if x.ndim == 4 else x)
        for i, block in enumerate(self.blocks):
            if i and h.ndim == 4 and max(h.shape[2:]) > SMALLEST_SIDE:
                h = F.avg_pool2d(h, 2, ceil_mode=True)
            h = block(h, given)
        out: Tensor = self.outward(F.silu(self.norm(self.gather(h.flatten(1)))))
        return out

    def _patches(self, x: Tensor) -> Tensor:
        pad = (0, -x.shape[3] % self.patch, 0, -x.shape[2] % self.patch)
        return F.pixel_unshuffle(F.pad(x, pad, mode="replicate") if any(pad) else x, self.patch)


def _patch(shape: Sequence[int]) -> int:
    """Side of a patch in pixels."""
    patch = 1
    while len(shape) == 3 and max(shape[1:]) / patch > LARGEST_SIDE:
        patch *= 2
    return patch


def _places(shape: Sequence[int], patch: int) -> int:
    """How many places are left at the end."""
    if len(shape) == 1:
        return 1
    height, width = (-(-side // patch) for side in shape[1:])
    for _ in IMAGE_WIDTHS[1:]:
        if max(height, width) > SMALLEST_SIDE:
            height, width = -(-height // 2), -(-width // 2)
    return height * width


class _ImageBlock(nn.Module):
    """Two normalised convolutions round a shortcut; level and label scale and shift between them."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(before, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.norms = nn.ModuleList([nn.GroupNorm(8, before), nn.GroupNorm(8, width)])
        self.scale_shift = nn.Linear(EMBEDDING, 2 * width)
        self.short = nn.Identity() if before == width else nn.Conv2d(before, width, 1)

    def forward(self, h: Tensor, given: Tensor) -> Tensor:
        scale, shift = self.scale_shift(given)[:, :, None, None].chunk(2, dim=1)
        inner = self.norms[1](self.first(F.silu(self.norms[0](h)))) * (1 + scale) + shift
        out: Tensor = self.short(h) + self.last(F.silu(inner))
        return out


class _VectorBlock(nn.Module):
    """The same with linear layers."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(before)
        self.scale_shift = nn.Linear(EMBEDDING, 2 * before)
        self.body = nn.Sequential(nn.Linear(before, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))

    def forward(self, h: Tensor, given: Tensor) -> Tensor:
        scale, shift = self.scale_shift(given).chunk(2, dim=1)
        out: Tensor = h + self.body(self.norm(h) * (1 + scale) + shift)
        return out
