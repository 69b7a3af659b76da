"""The image backbone: diffusers' ``UNet2DModel`` behind padding, patches and a label embedding with a null class.

Any channel count, any height and width: inside, the image is padded at its right and lower edge to a multiple of what
the network needs, and the output is cropped. With patch p, p x p pixels become channels first (space to depth), so the
first level works on H/p x W/p positions: the same parameters cost p^2 times less, which is what makes a laptop enough.

The network is a trunk (``features``), a last learned layer (``outward``), and a fixed arrangement of its output into a
sample (``finish``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from diffusers import UNet2DModel
from torch import Tensor, nn
from torch.nn import functional as F

from evenscore.errors import unknown
from evenscore.networks.blocks import quicken

MEMORY_FORMATS: Mapping[str, torch.memory_format] = {
    "channels_last": torch.channels_last,
    "contiguous": torch.contiguous_format,
}
"""How features (B, C, H, W) lie in memory: the channels of a position next to each other, or the positions of a channel."""


@dataclass(frozen=True)
class UNetSize:
    """A named network size.

    Attributes:
        channels: channels at each level, from fine to coarse.
        layers: residual blocks at each level.
        attention: whether each level attends.
        dropout: dropout rate inside residual blocks.
        patch_above: images whose longer side, in patches, is larger than this get patches twice as large.
        head_dim: channels of one attention head.
        groups: groups of the group normalisation.
    """

    channels: tuple[int, ...]
    layers: int
    attention: tuple[bool, ...]
    dropout: float
    patch_above: int
    head_dim: int = 32
    groups: int = 8

    def patch(self, height: int, width: int) -> int:
        """Side of a patch in pixels for images of this height and width."""
        patch = 1
        while max(height, width) / patch > self.patch_above:
            patch *= 2
        return patch


UNET_SIZES: Mapping[str, UNetSize] = {
    "tiny": UNetSize((24, 40), 1, (False, True), 0.0, 16, head_dim=20),
    "small": UNetSize((40, 80), 1, (False, True), 0.0, 16, head_dim=20),
    "medium": UNetSize((96, 192), 2, (False, True), 0.0, 16),
    "base": UNetSize((128, 256, 256, 256), 2, (False, True, False, False), 0.1, 64, head_dim=256, groups=32),
    "large": UNetSize((192, 384, 576, 768), 3, (False, True, True, True), 0.1, 64, head_dim=64, groups=32),
}


class ImageUNet(nn.Module):
    """(B, C, H, W) images, (B,) levels, (B,) labels -> (B, C, H, W).

    Args:
        size: one of :data:`UNET_SIZES`.
        shape: (C, H, W).
        num_classes: K; label K is the null class.
        condition: length of a further condition vector, 0 for none.
        memory_format: one of :data:`MEMORY_FORMATS`, in which features and weights lie.

    Raises:
        UsageError: an unknown memory format.
    """

    def __init__(
        self,
        size: UNetSize,
        shape: tuple[int, int, int],
        num_classes: int,
        condition: int = 0,
        memory_format: str = "channels_last",
    ) -> None:
        super().__init__()
        if memory_format not in MEMORY_FORMATS:
            raise unknown("memory format", memory_format, MEMORY_FORMATS)
        self.memory_format = MEMORY_FORMATS[memory_format]
        channels, height, width = shape
        self.patch = size.patch(height, width)
        multiple = self.patch * 2 ** (len(size.channels) - 1)
        self.pad = (0, -width % multiple, 0, -height % multiple)
        self.height, self.width = height, width
        self.unet = _unet2d(size, channels * self.patch**2, max(height, width) // self.patch)
        self.unet.to(memory_format=self.memory_format)
        embedding = size.channels[0] * 4
        self.label = nn.Embedding(num_classes + 1, embedding)
        self.condition = nn.Linear(condition, embedding, bias=False) if condition else None

    @property
    def outward(self) -> nn.Conv2d:
        """The last learned layer: trunk features (B, N, h, w) -> patches (B, C p^2, h, w)."""
        layer: nn.Conv2d = self.unet.conv_out
        return layer

    def forward(self, x: Tensor, level: Tensor, y: Tensor, extra: Tensor | None = None) -> Tensor:
        """Raw output for normalised noisy images; ``extra`` (B, condition) is zero when None."""
        return self.read(self.features(x, level, y, extra))

    def observe(self, x: Tensor, level: Tensor, y: Tensor, extra: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Raw output (B, ...), and latents (B, F) of the same pass."""
        h, latents = self.observed_features(x, level, y, extra)
        return self.read(h), latents

    def features(self, x: Tensor, level: Tensor, y: Tensor, extra: Tensor | None = None) -> Tensor:
        """Trunk features (B, N, h, w), what :attr:`outward` is given."""
        return self.observed_features(x, level, y, extra)[0]

    def observed_features(
        self, x: Tensor, level: Tensor, y: Tensor, extra: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Trunk features, and latents (B, F): the middle block's output, the mean over places."""
        given = self.label(y)
        if self.condition is not None and extra is not None:
            given = given + self.condition(extra)
        patches = F.pixel_unshuffle(F.pad(x, self.pad, mode="replicate") if any(self.pad) else x, self.patch)
        return _trunk(self.unet, patches.contiguous(memory_format=self.memory_format), level, given)

    def read(self, h: Tensor) -> Tensor:
        """The raw output (B, C, H, W) of trunk features."""
        return self.finish(self.outward(h))

    def finish(self, patches: Tensor) -> Tensor:
        """What :attr:`outward` gives, (B, C p^2, h, w), as samples (B, C, H, W)."""
        return F.pixel_shuffle(patches, self.patch)[..., : self.height, : self.width]


def _trunk(unet: UNet2DModel, x: Tensor, level: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
    """``UNet2DModel.forward`` up to its last convolution, for label embeddings ``given`` and blocks without skip images.

    Also gives the middle block's output as latents, see :meth:`ImageUNet.observed_features`.
    """
    condition = unet.time_embedding(unet.time_proj(level).to(unet.dtype)) + given
    h = unet.conv_in(x)
    kept = [h]
    for block in unet.down_blocks:
        h, passed = block(h, condition)
        kept.extend(passed)
    h = unet.mid_block(h, condition)
    latents: Tensor = h.mean((2, 3))
    for block in unet.up_blocks:
        at = len(kept) - len(block.resnets)
        h = block(h, tuple(kept[at:]), condition)
        del kept[at:]
    out: Tensor = unet.conv_act(unet.conv_norm_out(h))
    return out, latents


def _unet2d(size: UNetSize, channels: int, side: int) -> UNet2DModel:
    unet = UNet2DModel(
        sample_size=side,
        in_channels=channels,
        out_channels=channels,
        layers_per_block=size.layers,
        block_out_channels=size.channels,
        down_block_types=tuple("AttnDownBlock2D" if a else "DownBlock2D" for a in size.attention),
        up_block_types=tuple("AttnUpBlock2D" if a else "UpBlock2D" for a in reversed(size.attention)),
        norm_num_groups=size.groups,
        attention_head_dim=size.head_dim,
        dropout=size.dropout,
        class_embed_type="identity",
        resnet_time_scale_shift="scale_shift",
    )
    quicken(unet)
    nn.init.zeros_(unet.conv_out.weight)
    nn.init.zeros_(unet.conv_out.bias)
    return unet
