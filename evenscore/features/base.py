"""What a feature map is: samples in [-1, 1] or vectors in, features and perhaps class probabilities out.

Law: what a map says of a sample depends on that sample alone, not on the batch in which it came; and ``key`` changes
whenever the map does, so that what was computed with one map is never taken for another's.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

BATCH = 256
"""Samples that a map sees at once."""


class Seen(NamedTuple):
    """What a map says of some samples, on the CPU.

    Attributes:
        features: (N, F) float32.
        probabilities: (N, P) float32, or None where the map has no classes.
    """

    features: Tensor
    probabilities: Tensor | None


class Features(ABC):
    """A named map from samples to features.

    Attributes:
        name: how figures call it: "FD-<name>".
        key: hexadecimal digest of everything that the map depends on.
        own_classes: whether the probabilities are over the classes of the data, in their order, so that label agreement can
            be read from them.
        batch: samples that it sees at once.
    """

    name: str
    key: str
    own_classes: bool = False
    batch: int = BATCH

    @abstractmethod
    def check(self, shape: Sequence[int], num_classes: int) -> None:
        """Refuse data that the map cannot see.

        Args:
            shape: of one sample, (C, H, W) or (D,).
            num_classes: of the data.

        Raises:
            DataError: samples of another shape, or other numbers of channels or classes.
        """

    @abstractmethod
    def see(self, x: Tensor) -> Seen:
        """Look at one batch (B, C, H, W) in [-1, 1] or (B, D)."""

    def __call__(self, x: Tensor) -> Seen:
        """Look at samples (N, ...), a batch at a time.

        Returns:
            Features (N, F) and probabilities (N, P) or None, float32 on the CPU.
        """
        with torch.inference_mode():
            return join([self.see(part) for part in torch.split(x, self.batch)])


def join(parts: Sequence[Seen]) -> Seen:
    """Several answers of one map as one."""
    features = torch.cat([part.features for part in parts])
    found = [part.probabilities for part in parts if part.probabilities is not None]
    return Seen(features, torch.cat(found) if found else None)


def on_cpu(features: Tensor, probabilities: Tensor | None = None) -> Seen:
    """An answer as :class:`Seen` wants it: float32, on the CPU."""
    return Seen(features.float().cpu(), None if probabilities is None else probabilities.float().cpu())


def device() -> torch.device:
    """Where networks compute: the first GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def digest(*parts: object) -> str:
    """SHA-256 of texts, tensors and the weights of modules, hexadecimal."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, nn.Module):
            for key, value in part.state_dict().items():
                found.update(key.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        elif isinstance(part, Tensor):
            found.update(repr(tuple(part.shape)).encode() + part.detach().cpu().contiguous().numpy().tobytes())
        else:
            found.update(repr(part).encode())
    return found.hexdigest()
