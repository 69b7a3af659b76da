"""Frozen random features ``relu(W x + U e(t)) / m`` of a noisy sample and its time.

The network of "Principled Long-Tailed Generative Modeling via Diffusion Models" (Das et al. 2025, section 3): a class's
score is ``A_y`` times these features, only ``A_y`` is trained, and so every loss is quadratic in it.

Chosen here, where the paper leaves it open: the entries of W and U are uniform on ``[-sqrt 3, sqrt 3]`` (unit variance,
bounded, as the paper's theory needs), the sample is divided by a fixed ``scale``, and ``e(t) = (1, alpha(t), sigma(t))``.

Re-centred (ours), a player's features see the sample from where its class stands, ``x - alpha(t) centre_k``, so that what
classes share is shape and not place; the scale is then the spread within classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from evenscore.errors import UsageError
from evenscore.process import Process

SHARING = ("independent", "shared")
EMBEDDING = 3


class RandomFeatures(nn.Module):
    """Features of every player, float64.

    Args:
        process: noise process, for the time embedding.
        players: K, the number of players.
        size: D, coordinates of a sample.
        count: m, features of a player.
        sharing: ``independent`` (every player has W and U of its own, as in the paper) or ``shared`` (one draw for all).
        generator: draws W and U.
        scale: spread of the data, by which samples are divided.
        centres: (K, D) where each player's features are centred; None for the origin.

    Raises:
        UsageError: a number below 1, a scale that is not above 0, or an unknown sharing.
    """

    inner: Tensor
    outer: Tensor
    centres: Tensor | None

    def __init__(
        self,
        process: Process,
        players: int,
        size: int,
        count: int,
        generator: torch.Generator,
        sharing: str = "independent",
        scale: float = 1.0,
        centres: Tensor | None = None,
    ) -> None:
        super().__init__()
        if min(players, size, count) < 1 or not scale > 0:
            raise UsageError(
                f"{players} players, {size} coordinates, {count} features and scale {scale:g} cannot be used: "
                "give numbers of at least 1 and a scale above 0"
            )
        if sharing not in SHARING:
            raise UsageError(f"sharing={sharing!r} is not known: choose independent or shared")
        self.process, self.players, self.size, self.count, self.scale = process, players, size, count, scale
        draws = 1 if sharing == "shared" else players
        for name, width in (("inner", size), ("outer", EMBEDDING)):
            uniform = torch.rand(draws, count, width, generator=generator, dtype=torch.float64)
            self.register_buffer(name, (2 * uniform - 1) * 3**0.5)
        self.register_buffer("centres", None if centres is None else centres.double())
        self.common_weights = sharing == "shared"

    @property
    def shared(self) -> bool:
        """Whether all players see the same features."""
        return self.common_weights and self.centres is None

    def embed(self, t: Tensor) -> Tensor:
        """``e(t)``: (..., 3) bounded by 1."""
        return torch.stack([torch.ones_like(t), self.process.alpha(t), self.process.sigma(t)], dim=-1)

    def forward(self, x_t: Tensor, t: Tensor, players: slice | Tensor = slice(None)) -> Tensor:
        """Features (P, B, m) of samples (B, D) at times (B,) for some players; P is 1 where all see the same."""
        inner, outer = (w if self.common_weights else w[players] for w in (self.inner, self.outer))
        before = (self.placed(x_t, t, players) / self.scale) @ inner.mT + self.embed(t) @ outer.mT
        return before.relu() / self.count

    def placed(self, x_t: Tensor, t: Tensor, players: slice | Tensor) -> Tensor:
        """Samples as the players see them, (P, B, D), or (B, D) where all see the same."""
        if self.centres is None:
            return x_t
        return x_t - self.process.alpha(t)[:, None] * self.centres[players][:, None]
