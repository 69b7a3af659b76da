"""Real networks with weights that are nowhere zero, and batches for them."""

from __future__ import annotations

import torch

from evenscore.denoisers.preconditioned import Preconditioned
from evenscore.networks import build_network
from evenscore.objectives import Noised, Objective, noised
from evenscore.process import VP


def network(
    objective: Objective | None = None, shape: tuple[int, ...] = (1, 8, 8), players: str = "shared", condition: int = 0
) -> Preconditioned:
    """A tiny network for four classes, equipped for an objective."""
    torch.manual_seed(0)
    made = Preconditioned(build_network("tiny", shape, 4, condition, players=players), VP(), 4, shape)
    if objective is not None:
        objective.equip(made)
    for parameter in made.parameters():
        if not bool(parameter.detach().any()):
            torch.nn.init.normal_(parameter, std=0.05)
    return made


def rows_of(shape: tuple[int, ...] = (1, 8, 8), n: int = 16) -> Noised:
    """A batch of four classes, some rows of which lost their label."""
    random = torch.Generator().manual_seed(2)
    y = torch.arange(n) % 4
    x0, eps = (torch.randn(n, *shape, generator=random) for _ in range(2))
    return noised(VP(), x0, y, torch.where(torch.arange(n) % 7 == 3, 4, y), torch.linspace(0.05, 0.95, n), eps)


def draws(seed: int = 5) -> torch.Generator:
    """A seeded generator."""
    return torch.Generator().manual_seed(seed)
