"""Last layers of a network as strategies: a matrix for each label, read out, replaced, and applied.

The trained last layer W and its offset are seen as one matrix A (D, F) on rows of features: for a convolution the patch of
trunk features round a position, unfolded, with a 1 behind it; for a linear layer the trunk features with a 1 behind them.

Laws: ``feature_rows(h) @ A^T`` is the last layer's output. :class:`ClassHeads` with a correction of zero is its backbone bit
for bit, and what it costs does not depend on the number of labels.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evenscore.errors import UsageError
from evenscore.networks.mlp import MLP
from evenscore.networks.players import TrunkPlayers
from evenscore.networks.unet import ImageUNet

Trunk = ImageUNet | MLP | TrunkPlayers
"""Networks that have one trunk for all labels."""


def trunk_of(backbone: nn.Module) -> Trunk:
    """The network as one with a trunk that all labels share.

    Raises:
        UsageError: it has none, or has heads already.
    """
    if isinstance(backbone, ImageUNet | MLP | TrunkPlayers):
        return backbone
    if isinstance(backbone, ClassHeads):
        raise UsageError("the network has heads already: give the one that they were made for")
    raise UsageError(
        f"{type(backbone).__name__} has no trunk that all labels share: use a network of players=shared or players=trunk"
    )


def last_layers(trunk: Trunk, labels: Tensor) -> Tensor:
    """The trained last layer of some labels as matrices (len(labels), D, F), float64."""
    layer = cast(nn.Conv2d | nn.Linear, trunk.outward)
    weight = layer.weight.detach().flatten(1).double()
    matrix = torch.cat([weight, _bias(layer)[:, None]], 1).repeat(len(labels), 1, 1)
    if isinstance(trunk, TrunkPlayers):
        outer = trunk.outer(labels).detach().double().unflatten(1, (len(weight), trunk.rank, -1))
        inner = trunk.inner(labels).detach().double().unflatten(1, (trunk.rank, -1))
        matrix[:, :, :-1] += torch.einsum("kdrt,krc->kdct", outer, inner).flatten(2)
        matrix[:, :, -1] += trunk.offset(labels).detach().double()
    return matrix


def feature_rows(trunk: Trunk, h: Tensor) -> Tensor:
    """Features of each position as rows (B, L, F) for trunk features ``h``; L is 1 for vectors."""
    layer = trunk.outward
    rows = h[:, None]
    if isinstance(layer, nn.Conv2d):
        rows = F.unfold(h, _pair(layer.kernel_size), padding=_sides(layer)).mT
    return torch.cat([rows, torch.ones_like(rows[..., :1])], -1)


def target_rows(trunk: Trunk, target: Tensor) -> Tensor:
    """What samples (B, ...) ask of each row of features, (B, L, D); nan where the network has no pixel (padding)."""
    inner = trunk.backbone if isinstance(trunk, TrunkPlayers) else trunk
    if not isinstance(inner, ImageUNet):
        return target[:, None]
    patches = F.pixel_unshuffle(F.pad(target, inner.pad, value=float("nan")), inner.patch)
    return patches.flatten(2).mT


class ClassHeads(nn.Module):
    """A network whose last layer is corrected for each label: ``A_y = trained + correction_y``.

    A convolution for each row of the batch is computed as one batched product and a sum of shifted planes.

    Args:
        backbone: a network with a trunk that all labels share.
        correction: (K + 1, D, F), one matrix for each label; that of the null label is usually zero.

    Raises:
        UsageError: a network without such a trunk, or a correction that does not fit it.
    """

    correction: Tensor

    def __init__(self, backbone: nn.Module, correction: Tensor) -> None:
        super().__init__()
        self.backbone: Trunk = trunk_of(backbone)
        expected = last_layers(self.backbone, torch.zeros(1, dtype=torch.int64)).shape[1:]
        if correction.ndim != 3 or correction.shape[1:] != expected:
            raise UsageError(
                f"corrections of shape {tuple(correction.shape)} do not fit a last layer of shape {tuple(expected)}: "
                "give one matrix of that shape for each label"
            )
        self.register_buffer("correction", correction.float())
        layer = self.backbone.outward
        weight = self.correction[:, :, :-1]
        if isinstance(layer, nn.Conv2d):
            taps = layer.weight[0, 0].numel()
            planes = weight.reshape(*weight.shape[:2], -1, taps).flip(3)
            weight = planes.transpose(2, 3).flatten(1, 2)
        self.register_buffer("weight", weight.contiguous(), persistent=False)

    def forward(self, x: Tensor, level: Tensor, y: Tensor, extra: Tensor | None = None) -> Tensor:
        """Raw output (B, ...) under the heads of the labels ``y`` (B,)."""
        trunk = self.backbone
        h = trunk.features(x, level, y, extra)
        out = trunk.outward(h)
        if isinstance(trunk, TrunkPlayers):
            out = out + trunk.correction(h, y)
        return trunk.finish(out + self.added(h, y))

    def added(self, h: Tensor, y: Tensor) -> Tensor:
        """What the corrections of the labels ``y`` (B,) add to the last layer's output."""
        weight, offset = cast(Tensor, self.weight)[y], self.correction[y][:, :, -1]
        layer = self.backbone.outward
        if not isinstance(layer, nn.Conv2d):
            return (weight @ h[:, :, None])[:, :, 0] + offset
        size = (h.shape[2], h.shape[3])
        moved = F.fold(weight @ h.flatten(2), size, _pair(layer.kernel_size), padding=_sides(layer))
        return moved + offset[:, :, None, None]


def _bias(layer: nn.Conv2d | nn.Linear) -> Tensor:
    found = torch.zeros(len(layer.weight)) if layer.bias is None else layer.bias.detach()
    return found.to(layer.weight.device).double()


def _pair(sides: tuple[int, ...]) -> tuple[int, int]:
    return sides[0], sides[1]


def _sides(layer: nn.Conv2d) -> tuple[int, int]:
    """The padding that keeps the size, which is what the flipped sum of planes needs too."""
    return layer.kernel_size[0] // 2, layer.kernel_size[1] // 2
