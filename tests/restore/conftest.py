"""Shared by the tests of restoration: a mixture in the plane, and noise from one generator."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from evenscore.denoisers.oracle import GaussianMixture
from evenscore.process import VP, Process

Prior = Callable[..., GaussianMixture]


@pytest.fixture(scope="session")
def plane() -> Prior:
    """``plane(process)``: three correlated modes of shares 0.6, 0.3 and 0.1, one for each class."""

    def build(process: Process | None = None) -> GaussianMixture:
        means = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [1.0, -1.5]], dtype=torch.float64)
        covariances = torch.tensor([[[0.2, 0.1], [0.1, 0.2]], [[0.2, -0.1], [-0.1, 0.2]], [[0.1, 0.0], [0.0, 0.1]]])
        return GaussianMixture(process or VP(), means, covariances, [0, 1, 2], class_weights=[0.6, 0.3, 0.1])

    return build


@pytest.fixture
def normal() -> Callable[[int], Callable[[Sequence[int]], Tensor]]:
    """``normal(rows)``: standard normal values of that many rows, always the same ones."""

    def build(rows: int) -> Callable[[Sequence[int]], Tensor]:
        random = torch.Generator().manual_seed(0)
        return lambda shape: torch.randn((rows, *shape), generator=random, dtype=torch.float64)

    return build
