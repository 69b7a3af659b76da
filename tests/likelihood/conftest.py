"""Laws with exact densities, and a network whose output is nothing special."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from evenscore.denoisers.oracle import GaussianMixture
from evenscore.denoisers.preconditioned import Preconditioned
from evenscore.networks import build_network
from evenscore.process import VP, Process
from evenscore.random import seeded_layers

Draw = tuple[Tensor, Tensor, Tensor]


def _gaussian(process: Process) -> GaussianMixture:
    return GaussianMixture.isotropic(process, torch.tensor([[0.3]]), [0.7], [0])


def _mixture(process: Process) -> GaussianMixture:
    root = torch.randn(3, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / 2
    means = torch.tensor([[1.2, -1.0, 0.5], [0.4, -1.6, 0.1], [-1.1, 1.3, 0.0]])
    covariances = root @ root.mT + 0.05 * torch.eye(3, dtype=torch.float64)
    return GaussianMixture(process, means, covariances, [0, 0, 1], [0.6, 0.4, 1.0], [0.9, 0.1])


@pytest.fixture(scope="session")
def laws() -> dict[str, Callable[[Process], GaussianMixture]]:
    """A Gaussian in one dimension, and a mixture of two classes in three."""
    return {"gaussian": _gaussian, "mixture": _mixture}


@pytest.fixture(scope="session")
def draw() -> Callable[[GaussianMixture, int], Draw]:
    """``draw(oracle, count)``: samples at t_min, labels with the null label among them, exact log-densities."""

    def made(oracle: GaussianMixture, count: int) -> Draw:
        source, process = torch.Generator().manual_seed(1), oracle.process
        y = torch.arange(count) % (oracle.num_classes + 1)
        t = torch.full((count,), process.t_min, dtype=torch.float64)
        clean = oracle.sample(y, source)
        x = process.perturb(clean, t, torch.randn(clean.shape, generator=source, dtype=torch.float64))
        return x, y, oracle.log_density(x, t, y)

    return made


@pytest.fixture
def network() -> Preconditioned:
    """A small network on vectors of 6 values in 3 classes, in training mode, with weights that are not zero."""
    with seeded_layers(0):
        denoiser = Preconditioned(build_network("tiny", (6,), 3), VP(), 3, (6,))
        for parameter in denoiser.parameters():
            if not bool(parameter.any()):
                torch.nn.init.normal_(parameter, std=0.05)
    return denoiser.train()
