"""Shared by the tests of solvers: an exact denoiser in the plane, and seeded normal values."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from evenscore.denoisers.oracle import GaussianMixture
from evenscore.process import Process


@pytest.fixture
def mixture() -> Callable[[Process], GaussianMixture]:
    """``mixture(process)``: two classes, the first with two components."""
    means = torch.tensor([[1.0, 0.5], [-0.5, 1.0], [0.3, -1.2]], dtype=torch.float64)
    return lambda process: GaussianMixture.isotropic(process, means, [0.5, 0.7, 0.6], [0, 0, 1])


@pytest.fixture
def normal() -> Callable[..., Tensor]:
    """``normal(seed, *shape)``: float64 standard normal values."""
    return lambda seed, *shape: torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
