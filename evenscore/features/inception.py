"""The Inception-V3 of the Frechet Inception distance, in plain torch, with weights from a file that the user names.

The network is that of Szegedy et al. (2016), "Rethinking the Inception architecture for computer vision", as it was ported
from the graph with which Heusel et al. (2017) defined FID: averages leave padding out of account, the last block takes a
maximum where others average, and there are 1008 outputs. Images are resized to 299 x 299 (bilinear, corners not aligned) and
seen in [-1, 1]; features are the 2048 pooled activations. Probabilities come from the last layer without its offsets, as
the Inception score is computed (Salimans et al. 2016).

Law: only the published file is taken, known by its SHA-256, the start of which stands in its name. So a distance that is
called FID is one, and nothing of another file is ever unpickled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evenscore.errors import DataError
from evenscore.features.base import Features, Seen, device, on_cpu
from evenscore.metrics.base import INCEPTION
from evenscore.reading import open_regular

PUBLISHED = "pt_inception-2015-12-05-6726825d.pth"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
SIDE, SIZE, CLASSES = 299, 2048, 1008


class Convolution(nn.Module):
    """Convolution without offsets, batch normalisation (eps 0.001), ReLU."""

    def __init__(self, inward: int, outward: int, **how: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inward, outward, bias=False, **how)
        self.bn = nn.BatchNorm2d(outward, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inward, H, W) -> (N, outward, H', W')."""
        return F.relu(self.bn(self.conv(x)))


def _average(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class BlockA(nn.Module):
    """35 x 35: branches 1 x 1, 5 x 5, double 3 x 3, and an average."""

    def __init__(self, inward: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = Convolution(inward, 64, kernel_size=1)
        self.branch5x5_1 = Convolution(inward, 48, kernel_size=1)
        self.branch5x5_2 = Convolution(48, 64, kernel_size=5, padding=2)
        self.branch3x3dbl_1 = Convolution(inward, 64, kernel_size=1)
        self.branch3x3dbl_2 = Convolution(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = Convolution(96, 96, kernel_size=3, padding=1)
        self.branch_pool = Convolution(inward, pooled, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Channels: 64 + 64 + 96 + pooled."""
        five = self.branch5x5_2(self.branch5x5_1(x))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, double, self.branch_pool(_average(x))], 1)


class BlockB(nn.Module):
    """35 x 35 to 17 x 17."""

    def __init__(self, inward: int) -> None:
        super().__init__()
        self.branch3x3 = Convolution(inward, 384, kernel_size=3, stride=2)
        self.branch3x3dbl_1 = Convolution(inward, 64, kernel_size=1)
        self.branch3x3dbl_2 = Convolution(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = Convolution(96, 96, kernel_size=3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Channels: 384 + 96 + inward."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, stride=2)], 1)


class BlockC(nn.Module):
    """17 x 17: branches of 1 x 7 and 7 x 1 convolutions of an inner width, and an average."""

    def __init__(self, inner: int) -> None:
        super().__init__()
        row, column = {"kernel_size": (1, 7), "padding": (0, 3)}, {"kernel_size": (7, 1), "padding": (3, 0)}
        self.branch1x1 = Convolution(768, 192, kernel_size=1)
        self.branch7x7_1 = Convolution(768, inner, kernel_size=1)
        self.branch7x7_2 = Convolution(inner, inner, **row)
        self.branch7x7_3 = Convolution(inner, 192, **column)
        self.branch7x7dbl_1 = Convolution(768, inner, kernel_size=1)
        self.branch7x7dbl_2 = Convolution(inner, inner, **column)
        self.branch7x7dbl_3 = Convolution(inner, inner, **row)
        self.branch7x7dbl_4 = Convolution(inner, inner, **column)
        self.branch7x7dbl_5 = Convolution(inner, 192, **row)
        self.branch_pool = Convolution(768, 192, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Channels: 4 x 192."""
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), seven, double, self.branch_pool(_average(x))], 1)


class BlockD(nn.Module):
    """17 x 17 to 8 x 8."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1 = Convolution(768, 192, kernel_size=1)
        self.branch3x3_2 = Convolution(192, 320, kernel_size=3, stride=2)
        self.branch7x7x3_1 = Convolution(768, 192, kernel_size=1)
        self.branch7x7x3_2 = Convolution(192, 192, kernel_size=(1, 7), padding=(0, 3))
        self.branch7x7x3_3 = Convolution(192, 192, kernel_size=(7, 1), padding=(3, 0))
        self.branch7x7x3_4 = Convolution(192, 192, kernel_size=3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Channels: 320 + 192 + 768."""
        three = self.branch3x3_2(self.branch3x3_1(x))
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([three, seven, F.max_pool2d(x, 3, stride=2)], 1)


class BlockE(nn.Module):
    """8 x 8: branches that part into 1 x 3 and 3 x 1.

    Args:
        inward: channels.
        pooling: ``average``, or ``maximum`` in the last block.
    """

    def __init__(self, inward: int, pooling: str) -> None:
        super().__init__()
        self.pooling = pooling
        self.branch1x1 = Convolution(inward, 320, kernel_size=1)
        self.branch3x3_1 = Convolution(inward, 384, kernel_size=1)
        self.branch3x3_2a = Convolution(384, 384, kernel_size=(1, 3), padding=(0, 1))
        self.branch3x3_2b = Convolution(384, 384, kernel_size=(3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = Convolution(inward, 448, kernel_size=1)
        self.branch3x3dbl_2 = Convolution(448, 384, kernel_size=3, padding=1)
        self.branch3x3dbl_3a = Convolution(384, 384, kernel_size=(1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = Convolution(384, 384, kernel_size=(3, 1), padding=(1, 0))
        self.branch_pool = Convolution(inward, 192, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Channels: 320 + 768 + 768 + 192."""
        three = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = _average(x) if self.pooling == "average" else F.max_pool2d(x, 3, stride=1, padding=1)
        parts = [self.branch1x1(x), self.branch3x3_2a(three), self.branch3x3_2b(three)]
        parts += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double), self.branch_pool(pooled)]
        return torch.cat(parts, 1)


class InceptionV3(nn.Module):
    """(N, 3, 299, 299) in [-1, 1] -> features (N, 2048); ``fc`` makes 1008 logits of them."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = Convolution(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = Convolution(32, 64, kernel_size=3, padding=1)
        self.Conv2d_3b_1x1 = Convolution(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = Convolution(80, 192, kernel_size=3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = BlockA(192, 32), BlockA(256, 64), BlockA(288, 64)
        self.Mixed_6a = BlockB(288)
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = BlockC(128), BlockC(160), BlockC(160), BlockC(192)
        self.Mixed_7a = BlockD()
        self.Mixed_7b, self.Mixed_7c = BlockE(1280, "average"), BlockE(2048, "maximum")
        self.fc = nn.Linear(SIZE, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Pooled activations (N, 2048)."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, stride=2)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(F.max_pool2d(x, 3, stride=2))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        pooled: Tensor = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x))).mean((2, 3))
        return pooled


class Inception(Features):
    """The features with which a Frechet distance is called FID.

    Args:
        path: the published file ``pt_inception-2015-12-05-6726825d.pth``.

    Raises:
        DataError: the file is missing, or another one.
    """

    name = INCEPTION
    batch = 50

    def __init__(self, path: Path) -> None:
        self.key = checked(path)
        self.network = network_of(torch.load(path, map_location="cpu", weights_only=True), path)
        self.network.eval().requires_grad_(False).to(device())

    def check(self, shape: Sequence[int], num_classes: int) -> None:
        """Refuse vectors."""
        if len(shape) != 3:
            raise DataError(
                f"Inception features see images, but the data hold vectors of shape {tuple(shape)}: "
                "use --features domain or pixels"
            )

    def see(self, x: Tensor) -> Seen:
        """Look at one batch (B, C, H, W), grey or colour."""
        x = x.to(device()).clamp(-1, 1).expand(-1, 3, -1, -1)
        features = self.network(F.interpolate(x, (SIDE, SIDE), mode="bilinear", align_corners=False))
        return on_cpu(features, F.linear(features, self.network.fc.weight).softmax(1))


def checked(path: Path) -> str:
    """SHA-256 of the file, once it is known to be the published one.

    Raises:
        DataError: it is missing, or another file.
    """
    try:
        with open_regular(path) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"Inception weights {path} cannot be read ({error.strerror}): give {PUBLISHED}") from None
    if found != SHA256:
        raise DataError(
            f"Inception weights {path} have SHA-256 {found[:8]}..., not {SHA256[:8]}...: give the published file "
            f"{PUBLISHED}, without which no distance is called FID"
        )
    return found


def network_of(weights: Mapping[str, Tensor], path: Path) -> InceptionV3:
    """The network with weights by their published names.

    Raises:
        DataError: a name is missing, or a tensor has another shape.
    """
    network = InceptionV3()
    own = network.state_dict()
    for key, tensor in own.items():
        if key.endswith("num_batches_tracked"):
            continue
        if key not in weights or weights[key].shape != tensor.shape:
            raise DataError(
                f"Inception weights {path} have no {key} of shape {tuple(tensor.shape)}: give the published file {PUBLISHED}"
            )
    network.load_state_dict({**own, **{key: value for key, value in weights.items() if key in own}})
    return network
