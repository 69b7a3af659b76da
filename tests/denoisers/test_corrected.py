"""A corrected denoiser: its base where the weight is 0, its network where it is 1, halfway between."""

from __future__ import annotations

import pytest
import torch

from evenscore.denoisers.corrected import Corrected
from evenscore.denoisers.oracle import GaussianMixture
from evenscore.errors import UsageError
from evenscore.process import VP

MEANS = torch.tensor([[0.0, 0.0], [2.0, 1.0]])
BASE = GaussianMixture(VP(), MEANS, torch.tensor([1.0, 0.5]), [0, 1])
OTHER = GaussianMixture(VP(), MEANS + 1, torch.tensor([0.3, 2.0]), [0, 1])
X = torch.randn(8, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
T = torch.full((8,), 0.4, dtype=torch.float64)


def test_weights_mix_the_predictions_of_a_class() -> None:
    mixed = Corrected(BASE, OTHER, torch.tensor([0.0, 0.5]))
    y = torch.tensor([0, 1] * 4)
    found, base, other = (d.predict(X, T, y) for d in (mixed, BASE, OTHER))
    torch.testing.assert_close(found.x0[y == 0], base.x0[y == 0], rtol=0, atol=0)
    torch.testing.assert_close(found.x0[y == 1], (base.x0 + other.x0)[y == 1] / 2)
    torch.testing.assert_close(found.alpha * found.x0 + found.sigma * found.eps, X)


def test_weights_of_0_and_1_are_the_base_and_the_network() -> None:
    y = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    for weight, whole in ((0.0, BASE), (1.0, OTHER)):
        found = Corrected(BASE, OTHER, torch.tensor([weight, weight])).predict(X, T, y)
        torch.testing.assert_close(found.x0, whole.predict(X, T, y).x0)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="3 weights were given for 2 classes"):
        Corrected(BASE, OTHER, torch.zeros(3))
    alone = GaussianMixture(VP(), MEANS[:1], torch.tensor([1.0]), [0])
    with pytest.raises(UsageError, match="does not fit a network of 1"):
        Corrected(BASE, alone, torch.zeros(2))
