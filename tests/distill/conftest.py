"""A small teacher that is known exactly, and small networks that are to learn from it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from evenscore.denoisers.one_step import OneStep
from evenscore.denoisers.oracle import GaussianMixture
from evenscore.denoisers.preconditioned import Preconditioned
from evenscore.distill import Distillation, DistillConfig
from evenscore.networks.mlp import MLP, MLPSize
from evenscore.process import VP
from evenscore.random import seeded_layers


@pytest.fixture
def teacher() -> GaussianMixture:
    """Two classes on the line, of deviation 1 round -1 and of deviation 0.5 round 2."""
    return GaussianMixture.isotropic(VP(), torch.tensor([[-1.0], [2.0]]), [1.0, 0.5], [0, 1])


@pytest.fixture
def small(teacher: GaussianMixture) -> Callable[..., Distillation]:
    """``small(steps=9)``: a distillation of that teacher."""

    def make(**changed: object) -> Distillation:
        settings = {"steps": 10, "batch_size": 8, "score_steps": 2, "warmup": 0, "cooldown": 0.0, **changed}
        networks = []
        for seed in (1, 2):
            with seeded_layers(seed):
                backbone = MLP(MLPSize(width=16, blocks=1), 1, 2)
                torch.nn.init.normal_(backbone.outward.weight, std=0.1)
            networks.append(Preconditioned(backbone, VP(), 2, (1,), 0.5, 1.7))
        sampler = OneStep(networks[0], -2.0)
        return Distillation(teacher, sampler, networks[1], DistillConfig(**settings))  # type: ignore[arg-type]

    return make
