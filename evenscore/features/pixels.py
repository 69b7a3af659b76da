"""``pixels``: the values themselves are the features; nothing is fitted and nothing is hidden."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from evenscore.features.base import Features, Seen, on_cpu


class Pixels(Features):
    """Values as features: images (N, C, H, W) become (N, C H W), vectors stay as they are."""

    name = "pixels"
    key = "pixels"

    def check(self, shape: Sequence[int], num_classes: int) -> None:
        """Any samples will do."""

    def see(self, x: Tensor) -> Seen:
        """Flatten a batch."""
        return on_cpu(x.flatten(1))
