"""Parts of diffusers' ``UNet2DModel`` computed in fewer passes over memory: residual block, attention, doubling.

Law: parameters, their names and their order are those of the parts that are replaced, and so is what is computed, up to
rounding: a checkpoint of one is a checkpoint of the other. What is saved: the condition's scale and shift are folded into the
normalisation, the three products of attention are one, and nothing is copied to another memory format on the way.
"""

from __future__ import annotations

import torch
from diffusers import UNet2DModel
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn
from torch.nn import functional as F

from evenscore.networks.group_norm import GroupNorm, group_norm


class Residual(nn.Module):
    """A residual block (B, C, H, W), (B, E) -> (B, N, H, W): twice normalisation, SiLU and convolution; the second
    normalisation is scaled and shifted by the condition.

    Args:
        block: whose parameters it takes; with ``scale_shift`` and of one resolution.
    """

    def __init__(self, block: ResnetBlock2D) -> None:
        super().__init__()
        self.norm1, self.conv1, self.time_emb_proj = block.norm1, block.conv1, block.time_emb_proj
        self.norm2, self.dropout, self.conv2 = block.norm2, block.dropout, block.conv2
        self.conv_shortcut = block.conv_shortcut

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """The block's output for features and condition."""
        scale, shift = self.time_emb_proj(F.silu(condition)).chunk(2, dim=1)
        h = self.conv1(F.silu(group_norm(self.norm1, x)))
        h = self.conv2(self.dropout(F.silu(group_norm(self.norm2, h, scale, shift))))
        out: Tensor = h + (x if self.conv_shortcut is None else self.conv_shortcut(x))
        return out


class Doubling(nn.Module):
    """Each pixel four times, then a convolution: (B, C, H, W) -> (B, C, 2H, 2W).

    Args:
        up: whose convolution it takes.
    """

    def __init__(self, up: Upsample2D) -> None:
        super().__init__()
        self.conv = up.conv

    def forward(self, x: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """The output for features; ``size`` is not needed, since sides are multiples of what the network halves."""
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out


class Products:
    """Attention among positions in plain products, which on few positions are quicker than the fused kernel.

    Queries, keys and values come of one product, and the factor ``1 / sqrt(head)`` is on the weights of the queries.
    """

    def __call__(
        self,
        attention: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: None = None,
        attention_mask: None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W); there are no other states to attend to, and no mask."""
        batch, channels, height, width = hidden_states.shape
        normal = hidden_states if attention.group_norm is None else attention.group_norm(hidden_states)
        rows = normal.flatten(2).mT
        layers = (attention.to_q, attention.to_k, attention.to_v)
        factors = (attention.scale, 1.0, 1.0)
        weight = torch.cat([layer.weight * factor for layer, factor in zip(layers, factors, strict=True)])
        bias = torch.cat([layer.bias * factor for layer, factor in zip(layers, factors, strict=True)])
        split = F.linear(rows, weight, bias).reshape(batch, height * width, 3, attention.heads, -1)
        q, k, v = split.permute(2, 0, 3, 1, 4).flatten(1, 2)
        mixed = torch.bmm(torch.bmm(q, k.mT).softmax(-1), v)
        joined = mixed.reshape(batch, attention.heads, height * width, -1).transpose(1, 2).flatten(2)
        out = attention.to_out[0](joined).mT.reshape(batch, channels, height, width)
        added: Tensor = out + hidden_states
        return added


def quicken(unet: UNet2DModel) -> None:
    """Put these parts in the place of diffusers' own."""
    for module in list(unet.modules()):
        for name, part in list(module.named_children()):
            if isinstance(part, ResnetBlock2D):
                setattr(module, name, Residual(part))
            elif isinstance(part, Upsample2D):
                setattr(module, name, Doubling(part))
            elif type(part) is nn.GroupNorm:
                setattr(module, name, _quick(part))
        if isinstance(module, Attention):
            module.set_processor(Products())


def _quick(norm: nn.GroupNorm) -> GroupNorm:
    made = GroupNorm(norm.num_groups, norm.num_channels, norm.eps)
    made.weight, made.bias = norm.weight, norm.bias
    return made
