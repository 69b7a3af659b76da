"""Capacity reserved in a network: a low-rank addition to some of its weights, which can be left out or merged.

    W = W_g + scale B A,    B (d, r) starting at zero, A (r, k) starting random,    r = max(1, floor(ratio min(d, k)))

with a convolution's weight seen as a matrix of d output channels by k = inputs times kernel (the low-rank form of Hu et al.
2022, "LoRA"). The weights are computed, not hooked in: the backbone runs once with W in place of W_g.

Laws: with B = 0 the network is its backbone bit for bit. :meth:`Reserved.merged` is a plain backbone, without further cost,
whose output is that of the network it was made of.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from evenscore.errors import UsageError
from evenscore.networks.latents import observer
from evenscore.networks.mlp import MLP
from evenscore.networks.players import TrunkPlayers
from evenscore.networks.unet import ImageUNet

WHERE = ("up", "all")
"""Weights of the second half of the network (of an image network the convolutions of its up path), or of all its layers but
the embeddings and the last one."""


class Reserved(nn.Module):
    """A backbone with reserved capacity; called as the backbone is.

    Args:
        backbone: an image network or a network of vectors, with or without trunk players.
        ratio: rank of each addition as a share of the smaller side of its matrix, above 0 to 1.
        scale: factor of the addition.
        where: one of :data:`WHERE`.

    Raises:
        UsageError: a network in which nothing can be reserved.
    """

    def __init__(self, backbone: nn.Module, ratio: float = 0.1, scale: float = 1.0, where: str = "up") -> None:
        super().__init__()
        self.backbone, self.scale = backbone, scale
        self.names = reservable(backbone, where)
        shapes = [backbone.get_parameter(name).flatten(1).shape for name in self.names]
        ranks = [max(1, int(ratio * min(shape))) for shape in shapes]
        self.outer = nn.ParameterList(torch.zeros(d, r) for (d, _), r in zip(shapes, ranks, strict=True))
        self.inner = nn.ParameterList(torch.randn(r, k) * k**-0.5 for (_, k), r in zip(shapes, ranks, strict=True))

    def weights(self) -> dict[str, Tensor]:
        """The reserved layers' weights W, by name in the backbone."""
        found = {}
        for name, outer, inner in zip(self.names, self.outer, self.inner, strict=True):
            general = self.backbone.get_parameter(name)
            added = (self.scale * outer @ inner).reshape(general.shape)
            # Laid out in memory as the weight is: convolutions then sum in the same order.
            found[name] = torch.empty_like(general).copy_(added).add_(general)
        return found

    def forward(self, x: Tensor, level: Tensor, y: Tensor, extra: Tensor | None = None) -> Tensor:
        """Raw output (B, ...) with the reserve."""
        out: Tensor = functional_call(self.backbone, self.weights(), (x, level, y, extra))
        return out

    def observe(self, x: Tensor, level: Tensor, y: Tensor, extra: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Raw output (B, ...), and latents (B, F) of the same pass."""
        weights: Mapping[str, Tensor] = {f"backbone.{name}": value for name, value in self.weights().items()}
        out: tuple[Tensor, Tensor] = functional_call(_Observing(self.backbone), dict(weights), (x, level, y, extra))
        return out

    @torch.no_grad()
    def merged(self) -> nn.Module:
        """A copy of the backbone with the reserve in its weights."""
        plain = copy.deepcopy(self.backbone)
        for name, weight in self.weights().items():
            plain.get_parameter(name).copy_(weight)
        return plain


class _Observing(nn.Module):
    """A backbone of which a call gives the latents too."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, x: Tensor, level: Tensor, y: Tensor, extra: Tensor | None) -> tuple[Tensor, Tensor]:
        return observer(self.backbone).observe(x, level, y, extra)


def reservable(backbone: nn.Module, where: str) -> tuple[str, ...]:
    """Names of the weights to which a reserve is added, in the order of the network.

    Raises:
        UsageError: there are none.
    """
    inner = backbone.backbone if isinstance(backbone, TrunkPlayers) else backbone
    prefix = "backbone." if isinstance(backbone, TrunkPlayers) else ""
    if not isinstance(inner, ImageUNet | MLP):
        raise UsageError(
            f"nothing can be reserved in {type(backbone).__name__}: use a network of players=shared or players=trunk"
        )
    layers = nn.Conv2d | nn.Linear if where == "all" or isinstance(inner, MLP) else nn.Conv2d
    chosen = [
        f"{prefix}{name}.weight"
        for name, module in inner.named_modules()
        if isinstance(module, layers) and module is not inner.outward and (where == "all" or _late(inner, name))
    ]
    return tuple(chosen)


def _late(inner: nn.Module, name: str) -> bool:
    """Whether a layer stands in the second half of the network."""
    if isinstance(inner, ImageUNet):
        return name.startswith("unet.up_blocks.")
    parts = name.split(".")
    return parts[0] == "blocks" and int(parts[1]) >= len(cast(MLP, inner).blocks) // 2
