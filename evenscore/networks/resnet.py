"""The residual network for small images of He et al. 2016 (Deep Residual Learning, section 4.2): 6n + 2 layers.

A 3 x 3 convolution, three stages of n blocks with 16, 32 and 64 channels, the side halved at the start of the second and
third, the mean over places, and a linear layer. A block is two 3 x 3 convolutions, each with batch normalisation, round a
shortcut without parameters (option A: where the side is halved every second place is taken, and missing channels are zero).

Law: with C channels of the image and K classes there are 97,216 n + 144 C + 65 K - 23,008 parameters; 32 layers (n = 5) for
colour images of 10 classes have 464,154, the 0.46 million of the paper's table 6.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from evenscore.errors import UsageError

WIDTHS = (16, 32, 64)
"""Channels of the three stages."""
SMALLEST_DEPTH = 8


class ResidualNetwork(nn.Module):
    """(N,C,H,W) -> logits (N,K); images of any size.

    Args:
        depth: number of layers with weights, 6n + 2: 8, 14, 20, 32, ...
        channels: C.
        num_classes: K.

    Raises:
        UsageError: a depth that is not 6n + 2.
    """

    def __init__(self, depth: int, channels: int, num_classes: int) -> None:
        super().__init__()
        check_depth(depth)
        blocks = (depth - 2) // 6
        self.inward = nn.Conv2d(channels, WIDTHS[0], 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(WIDTHS[0])
        layers, before = [], WIDTHS[0]
        for stage, width in enumerate(WIDTHS):
            for i in range(blocks):
                layers.append(_Block(before, width, 2 if stage and i == 0 else 1))
                before = width
        self.blocks = nn.Sequential(*layers)
        self.head = nn.Linear(WIDTHS[-1], num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N,K)."""
        hidden: Tensor = self.blocks(F.relu(self.norm(self.inward(x))))
        logits: Tensor = self.head(hidden.mean((2, 3)))
        return logits


def check_depth(depth: int) -> None:
    """Refuse a depth that is not 6n + 2.

    Raises:
        UsageError: it is not, or it is below 8.
    """
    if depth < SMALLEST_DEPTH or depth % 6 != 2:
        raise UsageError(f"depth={depth} cannot be used: a residual network has 6n + 2 layers, such as 8, 14, 20 or 32")


class _Block(nn.Module):
    """Two convolutions round a shortcut without parameters."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.stride, self.missing = stride, width - before
        self.first = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.last = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(width), nn.BatchNorm2d(width)])

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norms[1](self.last(F.relu(self.norms[0](self.first(x)))))
        return F.relu(inner + self._shortcut(x))

    def _shortcut(self, x: Tensor) -> Tensor:
        short = x[:, :, :: self.stride, :: self.stride]
        return (
            F.pad(short, (0, 0, 0, 0, self.missing // 2, self.missing - self.missing // 2)) if self.missing else short
        )
