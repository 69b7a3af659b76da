"""A denoiser small enough to be computed by hand, and a batch for it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from evenscore.denoisers.base import Denoiser
from evenscore.labels import LabelDistribution
from evenscore.objectives import Noised, noised
from evenscore.prediction import Prediction
from evenscore.process import VP

SIZE, CLASSES = 3, 4


class Affine(Denoiser):
    """``eps = tanh(x_t W + b[y])``, in float64."""

    def __init__(self) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(3)
        self.process, self.num_classes, self.shape = VP(), CLASSES, (SIZE,)
        self.weight = nn.Parameter(torch.randn(SIZE, SIZE, generator=random, dtype=torch.float64))
        self.bias = nn.Parameter(torch.randn(CLASSES + 1, SIZE, generator=random, dtype=torch.float64))

    @property
    def data_std(self) -> float:
        return 0.5

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        return Prediction.from_eps(torch.tanh(x_t @ self.weight + self.bias[y]), x_t, t, self.process)


@pytest.fixture
def affine() -> Affine:
    return Affine()


@pytest.fixture
def labels() -> LabelDistribution:
    return LabelDistribution((50, 20, 5, 1))


@pytest.fixture
def batch() -> Noised:
    """Eight rows, two of which lost their label."""
    random = torch.Generator().manual_seed(0)
    y = torch.arange(8) % CLASSES
    y_in = y.clone()
    y_in[2], y_in[5] = CLASSES, CLASSES
    x0, eps = (torch.randn(8, SIZE, generator=random, dtype=torch.float64) for _ in range(2))
    return noised(VP(), x0, y, y_in, torch.linspace(0.05, 0.95, 8, dtype=torch.float64), eps)
