"""The noise-conditional classifier of levels of the minority score: ``p(level | x_t, t, y)``.

Law: its input is ``(x_t - alpha m) / s`` with unit variance at every noise level, as a preconditioned denoiser's; what it
learns depends on the data, the seed and the number of steps only. It is trained by cross-entropy on samples noised to
levels that are spread evenly in log SNR, which makes it the posterior of the level given the noisy sample.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evenscore.denoisers.base import Denoiser
from evenscore.denoisers.preconditioned import noise_level
from evenscore.errors import UsageError
from evenscore.networks.level_net import LevelNet
from evenscore.process import Process, expand
from evenscore.random import generator, seeded_layers

RATE, WEIGHT_DECAY, WARM, DROPPED = 2e-3, 0.05, 0.1, 0.1
NOISIEST, CLEANEST = -9.0, 7.0
"""Log SNR, relative to the variance of the data, between which training looks."""


class LevelClassifier(nn.Module):
    """Logits of levels from noisy samples.

    Args:
        process: noise process.
        num_classes: K; label K means "no class given".
        mean: (1, C, ...) mean of each channel (each entry of a vector).
        std: (1, C, ...) standard deviation.
        shape: shape of one sample.
        count: number of levels L.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, process: Process, num_classes: int, mean: Tensor, std: Tensor, shape: tuple[int, ...], count: int
    ) -> None:
        super().__init__()
        self.process, self.num_classes, self.count = process, num_classes, count
        self.register_buffer("mean", mean)
        self.register_buffer("std", std.clamp_min(1e-2))
        self.net = LevelNet(shape, num_classes, count)

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """Logits (B, L) of noisy samples (B, *shape) at times (B,) with labels (B,)."""
        alpha, sigma = expand(self.process.alpha(t), x_t), expand(self.process.sigma(t), x_t)
        spread = (alpha.square() * self.std.square() + sigma.square()).sqrt()
        x = ((x_t - alpha * self.mean) / spread).float()
        logits: Tensor = self.net(x, noise_level(self.process.log_snr(t)).float(), y)
        return logits


def fit_levels(
    denoiser: Denoiser,
    x0: Tensor,
    y: Tensor,
    levels: Tensor,
    count: int,
    *,
    seed: int,
    steps: int = 600,
    batch_size: int = 128,
    report: Callable[[int], None] = lambda step: None,
) -> LevelClassifier:
    """Train a classifier of levels: AdamW, one cycle of the learning rate.

    Args:
        denoiser: whose process and classes it is for.
        x0: (N, *shape) clean samples, on the device to train on.
        y: (N,) their classes.
        levels: (N,) int64, their levels.
        count: number of levels L.
        seed: of the first weights and the batches.
        steps: optimiser steps.
        batch_size: samples per step.
        report: called with the number of each step that was done.

    Raises:
        UsageError: no samples, numbers that do not match, or fewer than one step.
    """
    if not len(x0) == len(y) == len(levels) or len(x0) == 0:
        raise UsageError(f"{len(x0)} samples, {len(y)} labels and {len(levels)} levels: give one of each, and some")
    if steps < 1 or batch_size < 1:
        raise UsageError(f"{steps} steps of {batch_size} samples: give at least 1 of each")
    axes = (0, *range(2, x0.ndim))
    mean, std = x0.mean(axes, keepdim=True), x0.std(axes, keepdim=True, correction=0)
    with seeded_layers(seed):
        classifier = LevelClassifier(denoiser.process, denoiser.num_classes, mean, std, denoiser.shape, count)
    classifier.to(x0.device).train()
    optimiser = torch.optim.AdamW(classifier.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=WEIGHT_DECAY)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min((step + 1) / (WARM * steps), (1 - step / steps) / (1 - WARM))
        loss = _loss(classifier, x0, y, levels, batch_size, generator(seed, "levels", step))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(classifier.parameters(), 1.0)
        optimiser.step()
        report(step + 1)
    return classifier.eval().requires_grad_(False)


def _loss(
    classifier: LevelClassifier, x0: Tensor, y: Tensor, levels: Tensor, size: int, random: torch.Generator
) -> Tensor:
    """Cross-entropy of one noised batch; a tenth of the labels is hidden."""
    rows = torch.randint(len(x0), (size,), generator=random)
    strata = (torch.randperm(size, generator=random) + torch.rand(size, generator=random)) / size
    eps = torch.randn((size, *x0.shape[1:]), generator=random)
    hidden = torch.rand(size, generator=random) < DROPPED
    rows, strata, eps, hidden = (v.to(x0.device) for v in (rows, strata, eps, hidden))
    shift = 2 * classifier.std.square().mean().sqrt().log()
    process = classifier.process
    t = process.time((NOISIEST + (CLEANEST - NOISIEST) * strata - shift).double())
    t = t.clamp(process.t_min, process.t_max).to(x0)
    label = torch.where(hidden, torch.full_like(y[rows], classifier.num_classes), y[rows])
    logits = classifier(process.perturb(x0[rows], t, eps.to(x0)), t, label)
    return F.cross_entropy(logits, levels[rows])
