"""Latents of a network: what its middle makes of each row, given beside the output of the same pass, without hooks.

Law: ``observe(x, level, y, extra)[0]`` is the forward pass bit for bit. Latents are one row of numbers for each sample: of an
image network the output of the middle block, the mean over places; of a network of vectors the residual stream after the
first half of its blocks.
"""

from __future__ import annotations

from typing import Protocol, cast

from torch import Tensor, nn

from evenscore.errors import UsageError


class Observed(Protocol):
    """A network that gives latents."""

    def observe(self, x: Tensor, level: Tensor, y: Tensor, extra: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Raw output (B, ...), and latents (B, F) of the same pass."""
        ...


def observer(backbone: nn.Module) -> Observed:
    """The network as one that gives latents.

    Raises:
        UsageError: it gives none that all labels share.
    """
    if not callable(getattr(backbone, "observe", None)):
        raise UsageError(
            f"{type(backbone).__name__} gives no latents that all labels share: "
            "use a network of players=shared or players=trunk"
        )
    return cast(Observed, backbone)
