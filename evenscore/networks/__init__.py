"""Backbones: named sizes of diffusers' UNet for images, an MLP for vectors; and the forms of a game's players."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from evenscore.errors import UsageError, unknown
from evenscore.networks.mlp import MLP, MLP_SIZES
from evenscore.networks.players import PLAYERS, SeparatePlayers, TrunkPlayers
from evenscore.networks.unet import MEMORY_FORMATS, UNET_SIZES, ImageUNet

NETWORKS = tuple(UNET_SIZES)
MOST_PARAMETERS = 500_000_000
"""Of all separate players together: with gradients, averages and the optimiser's moments they take some 10 GB."""


def build_network(
    size: str,
    shape: Sequence[int],
    num_classes: int,
    condition: int = 0,
    dropout: float | None = None,
    players: str = "shared",
    rank: int = 4,
    memory_format: str = "channels_last",
) -> nn.Module:
    """The network of a named size for samples of ``shape``: a UNet for (C, H, W), an MLP for (D,).

    Args:
        size: one of :data:`NETWORKS`.
        shape: shape of one sample.
        num_classes: K; the network knows K + 1 labels, the last for "no class given".
        condition: length of a further condition vector, 0 for none.
        dropout: dropout rate of the UNet, None for the size's own.
        players: form of the players, one of :data:`~evenscore.networks.players.PLAYERS`.
        rank: rank of each label's strategy, for the form ``trunk``.
        memory_format: of the UNet, one of :data:`~evenscore.networks.unet.MEMORY_FORMATS`.

    Raises:
        UsageError: an unknown size, form or memory format, or more separate players than memory could hold.
    """
    if players not in PLAYERS:
        raise unknown("form of players", players, PLAYERS)
    if players == "separate":
        require_separable(size, shape, num_classes, condition)
        return SeparatePlayers(_backbone(size, shape, 0, condition, dropout, memory_format), num_classes + 1)
    backbone = _backbone(size, shape, num_classes, condition, dropout, memory_format)
    return backbone if players == "shared" else TrunkPlayers(backbone, num_classes + 1, rank)


def require_separable(size: str, shape: Sequence[int], num_classes: int, condition: int = 0) -> None:
    """Refuse separate players that have more than :data:`MOST_PARAMETERS` parameters together; nothing is allocated.

    Raises:
        UsageError: they do, or an unknown size.
    """
    with torch.device("meta"):
        one = sum(p.numel() for p in _backbone(size, shape, 0, condition, None).parameters())
    total = one * (num_classes + 1)
    if total > MOST_PARAMETERS:
        raise UsageError(
            f"players=separate with network={size} needs {num_classes + 1} networks of {one:,} parameters, {total:,} in "
            f"all, and at most {MOST_PARAMETERS:,} can be trained: use players=trunk, or a smaller network"
        )


def _backbone(
    size: str,
    shape: Sequence[int],
    num_classes: int,
    condition: int,
    dropout: float | None,
    memory_format: str = "channels_last",
) -> nn.Module:
    if size not in NETWORKS:
        raise unknown("network", size, NETWORKS)
    if len(shape) == 1:
        return MLP(MLP_SIZES[size], shape[0], num_classes, condition)
    channels, height, width = shape
    chosen = UNET_SIZES[size] if dropout is None else replace(UNET_SIZES[size], dropout=dropout)
    return ImageUNet(chosen, (channels, height, width), num_classes, condition, memory_format)


__all__ = [
    "MEMORY_FORMATS",
    "NETWORKS",
    "PLAYERS",
    "SeparatePlayers",
    "TrunkPlayers",
    "build_network",
    "require_separable",
]
