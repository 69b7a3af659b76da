"""Backbones: named sizes of diffusers' UNet for images, an MLP for vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from evenscore.errors import unknown
from evenscore.networks.mlp import MLP, MLP_SIZES
from evenscore.networks.unet import UNET_SIZES, ImageUNet

NETWORKS = tuple(UNET_SIZES)


def build_network(
    size: str, shape: Sequence[int], num_classes: int, condition: int = 0, dropout: float | None = None
) -> nn.Module:
    """The backbone of a named size for samples of ``shape``: a UNet for (C, H, W), an MLP for (D,).

    Args:
        size: one of :data:`NETWORKS`.
        shape: shape of one sample.
        num_classes: K; the backbone embeds K + 1 labels, the last for "no class given".
        condition: length of a further condition vector, 0 for none.
        dropout: dropout rate of the UNet, None for the size's own.

    Raises:
        UsageError: an unknown size.
    """
    if size not in NETWORKS:
        raise unknown("network", size, NETWORKS)
    if len(shape) == 1:
        return MLP(MLP_SIZES[size], shape[0], num_classes, condition)
    channels, height, width = shape
    chosen = UNET_SIZES[size] if dropout is None else replace(UNET_SIZES[size], dropout=dropout)
    return ImageUNet(chosen, (channels, height, width), num_classes, condition)
