"""The closed form of the energy distance to a mixture, against samples on both sides."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmarks.mixture_energy import EqualModes
from evenscore.metrics.energy import energy_distance
from evenscore.random import generator

MODES = EqualModes(torch.tensor([[1.0, 0.0], [-1.0, 0.5], [0.0, -1.5]], dtype=torch.float64), 0.6)
N = 400


def drawn(number: int, shift: float = 0.0) -> Tensor:
    random = generator(3, "modes", number)
    which = torch.randint(len(MODES.means), (N,), generator=random)
    return MODES.means[which] + shift + 0.6 * torch.randn(N, 2, generator=random, dtype=torch.float64)


def empirical(x: Tensor, y: Tensor) -> float:
    """By every pair, that of a point with itself included."""
    return energy_distance(x, y) + sum(float(torch.pdist(v).mean()) / len(v) for v in (x, y))


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_it_is_the_mean_over_samples_of_the_mixture(shift: float) -> None:
    found = torch.tensor([empirical(drawn(0, shift), drawn(k)) for k in range(1, 201)], dtype=torch.float64)
    error = float(found.std()) / len(found) ** 0.5
    assert MODES.squared_distance(drawn(0, shift)) == pytest.approx(float(found.mean()), abs=4 * error)
    assert error < 0.05 * float(found.mean()) + 1e-3


def test_exact_samples_lie_at_the_usual_distance() -> None:
    found = torch.tensor([MODES.squared_distance(drawn(k)) for k in range(200)], dtype=torch.float64)
    assert MODES.usual(N) == pytest.approx(float(found.mean()), abs=4 * float(found.std()) / len(found) ** 0.5)
    assert MODES.squared_distance(drawn(0, 0.3)) > 4 * MODES.usual(N)
