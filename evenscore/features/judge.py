"""A judge: a small convolutional classifier that was fitted on balanced real data and is read from a ``.safetensors`` file.

Six 3 x 3 convolutions with batch normalisation and GELU, a pooling after the second, fourth and sixth; its sizes follow from
the shapes in the file. The features are the pooled activations before the last layer. It is an instrument of measurement:
nothing is trained or chosen on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from evenscore.checkpoint import tensors_of
from evenscore.errors import DataError
from evenscore.features.base import Features, Seen, device, digest, on_cpu
from evenscore.reading import read_bytes

SMALLEST = 8
"""Side of the smallest image that three poolings leave something of."""


class JudgeNetwork(nn.Module):
    """(N, C, H, W) in [-1, 1] -> logits (N, K); ``features`` gives what the last layer sees, (N, 4 width)."""

    def __init__(self, channels: int, classes: int, width: int) -> None:
        super().__init__()
        widths = [channels, width, 2 * width, 2 * width, 4 * width, 4 * width, 4 * width]
        layers: list[nn.Module] = []
        for i, (inward, outward) in enumerate(pairwise(widths)):
            convolution = nn.Conv2d(inward, outward, 3, padding=1, bias=False)
            layers.append(nn.Sequential(convolution, nn.BatchNorm2d(outward), nn.GELU()))
            if i in (1, 3):
                layers.append(nn.MaxPool2d(2))
        self.body = nn.Sequential(*layers, nn.MaxPool2d(2))
        self.head = nn.Linear(4 * width, classes)

    def features(self, x: Tensor) -> Tensor:
        """Pooled activations (N, 4 width)."""
        pooled: Tensor = self.body(x).mean((2, 3))
        return pooled

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, K)."""
        logits: Tensor = self.head(self.features(x))
        return logits


class Judge(Features):
    """The features and class probabilities of a judge.

    Args:
        path: its ``.safetensors`` file.

    Raises:
        DataError: the file is missing, damaged, or holds another network.
    """

    own_classes = True

    def __init__(self, path: Path) -> None:
        weights = _weights(path)
        network = _network(path, weights)
        self.path, self.name, self.key = path, path.stem, digest("judge", network)
        self.channels, self.classes = weights["body.0.0.weight"].shape[1], weights["head.weight"].shape[0]
        self.network = network.eval().requires_grad_(False).to(device())

    def check(self, shape: Sequence[int], num_classes: int) -> None:
        """Refuse samples of another number of channels or classes than the judge was fitted on."""
        if len(shape) != 3 or shape[0] != self.channels or min(shape[1:]) < SMALLEST:
            raise DataError(
                f"judge {self.path} sees images with {self.channels} channels and sides of at least {SMALLEST}, but the data "
                f"hold samples of shape {tuple(shape)}: give a judge that was fitted on such data, or other --features"
            )
        if num_classes != self.classes:
            raise DataError(
                f"judge {self.path} knows {self.classes} classes, but the data have {num_classes}: "
                "give a judge that was fitted on these classes, or other --features"
            )

    def see(self, x: Tensor) -> Seen:
        """Look at one batch (B, C, H, W)."""
        features = self.network.features(x.to(device()))
        return on_cpu(features, self.network.head(features).softmax(1))


def _weights(path: Path) -> dict[str, Tensor]:
    if not path.exists():
        raise DataError(f"judge {path} does not exist: give the .safetensors file of a judge with --features")
    try:
        return tensors_of(read_bytes(path))
    except (ValueError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"judge {path} cannot be read ({reason}): give the .safetensors file of a judge") from None


def _network(path: Path, weights: Mapping[str, Tensor]) -> JudgeNetwork:
    """A network of the sizes that the file tells, with its weights."""
    other = f"judge {path} holds another network"
    first, head = weights.get("body.0.0.weight"), weights.get("head.weight")
    if first is None or head is None or first.ndim != 4 or head.ndim != 2 or 0 in (*first.shape, *head.shape):
        raise DataError(f"{other} (no body.0.0.weight or head.weight of the right form): give the file of a judge")
    with torch.device("meta"):
        expected = JudgeNetwork(first.shape[1], head.shape[0], first.shape[0]).state_dict()
    for key, tensor in expected.items():
        if key.endswith("num_batches_tracked"):
            continue
        if key not in weights or weights[key].shape != tensor.shape:
            given = tuple(weights[key].shape) if key in weights else "missing"
            raise DataError(f"{other} ({key} is {given}, not {tuple(tensor.shape)}): give the file of a judge")
    if strange := sorted(set(weights) - set(expected)):
        raise DataError(f"{other} (it also has {strange[0]}): give the file of a judge")
    network = JudgeNetwork(first.shape[1], head.shape[0], first.shape[0])
    network.load_state_dict({**network.state_dict(), **weights})
    return network
