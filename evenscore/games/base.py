"""Games over deep networks: who the players are, and which rows of a batch a player's loss is made of.

Law: one training loop trains every game. A game calls its objective once for a noised batch and gets loss terms per row;
row i belongs to the player ``owners(batch)[i]``, and a player's loss is the mean of its rows. In a game of classes a row moves
its owner's strategy only, because an objective that compares players stops the gradient at the others. ``Solo`` is the
game of one player, which is ordinary training.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.errors import unknown
from evenscore.labels import LabelDistribution
from evenscore.networks import PLAYERS
from evenscore.objectives import Noised, Objective, Terms


@dataclass(frozen=True)
class Game(ABC):
    """A game that plays an objective.

    Attributes:
        objective: what every row's owner minimises.
    """

    objective: Objective

    def __call__(
        self, denoiser: Denoiser, batch: Noised, labels: LabelDistribution, generator: torch.Generator
    ) -> Terms:
        """Loss terms (B,) of each row."""
        return self.objective(denoiser, batch, labels, generator)

    @abstractmethod
    def owners(self, batch: Noised) -> Tensor:
        """(B,) number of the player to whose loss each row belongs."""

    def losses(self, terms: Terms, batch: Noised) -> dict[int, Tensor]:
        """The loss () of every player that has a row."""
        rows, owners = torch.stack(list(terms.values())).sum(0), self.owners(batch)
        return {k: rows[owners == k].mean() for k in sorted(set(owners.tolist()))}


@dataclass(frozen=True)
class Solo(Game):
    """One player that owns every row."""

    def owners(self, batch: Noised) -> Tensor:
        return torch.zeros_like(batch.y)


@dataclass(frozen=True)
class ClassGame(Game):
    """A player for every label that the denoiser can be given, the null label included; a row is owned by what it was given."""

    def owners(self, batch: Noised) -> Tensor:
        return batch.y_in


def make_game(players: str, objective: Objective) -> Game:
    """The game of a form of players, one of :data:`~evenscore.networks.players.PLAYERS`.

    Raises:
        UsageError: an unknown form.
    """
    if players not in PLAYERS:
        raise unknown("form of players", players, PLAYERS)
    return Solo(objective) if players == "shared" else ClassGame(objective)
