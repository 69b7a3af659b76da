"""Distillation in memory: a generator and the network of its score, and the steps that both take.

Law: step k draws its labels, latents, levels and noise from (seed, k) only, and every class is drawn alike; no data are used,
and networks have no dropout here.
A step of the generator comes after ``score_steps`` steps of the score network, which learns by denoising the generator's
samples (Vincent 2011): at the optimum its prediction is ``E[x0 | x_t, y]`` under their law, and so its score is that law's.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from evenscore.denoisers.base import Denoiser
from evenscore.denoisers.one_step import OneStep
from evenscore.distill.levels import LEVELS, WEIGHTS
from evenscore.distill.settings import DistillConfig
from evenscore.distill.updates import UPDATES, Score
from evenscore.errors import Diverged
from evenscore.guidance.classifier_free import ClassifierFree
from evenscore.likelihood.divergence import choose
from evenscore.objectives import noised
from evenscore.objectives.denoising import denoising_loss
from evenscore.objectives.levels import draw_times
from evenscore.process import expand
from evenscore.random import generator
from evenscore.training.optimise import AveragedWeights, clip_gradients, learning_rate

BETAS = (0.5, 0.99)
"""Of Adam: the target of both networks moves, so gradients are remembered for a short time."""


class Drawn(NamedTuple):
    """Labels (B,), latents (B, *shape), times (B,) and noise (B, *shape) of a step."""

    y: Tensor
    z: Tensor
    t: Tensor
    eps: Tensor


class Outcome(NamedTuple):
    """Labels (B,) of a generator step and, for each sample, the weighted half squared gap of the scores (B,)."""

    y: Tensor
    gap: Tensor


class Distillation:
    """A generator that learns the law of a teacher.

    Args:
        teacher: knows the score of the target at every noise level; frozen here.
        sampler: the generator.
        own: the network of the generator's score, with the process and classes of the teacher and the spread of its data.
        config: how.
    """

    def __init__(self, teacher: Denoiser, sampler: OneStep, own: Denoiser, config: DistillConfig) -> None:
        self.teacher = ClassifierFree(teacher.eval().requires_grad_(False), config.guidance)
        self.sampler, self.own, self.config = sampler.eval(), own.eval(), config
        self.average = AveragedWeights(copy.deepcopy(sampler), config.ema)
        self.optimiser = torch.optim.Adam(sampler.parameters(), lr=config.lr, betas=BETAS, fused=True)
        self.own_optimiser = torch.optim.Adam(own.parameters(), lr=config.score_lr, betas=BETAS, fused=True)
        self.std = float(torch.as_tensor(own.data_std).mean())
        self.device = next(sampler.parameters()).device
        self.divergence = choose(config.divergence, torch.Size(sampler.shape).numel())

    def step(self, k: int, fraction: float, rate: float = 1.0) -> Outcome:
        """Step number ``k`` of the generator, with the steps of the score network before it.

        Args:
            k: from 0.
            fraction: share of the budget that was used before.
            rate: what both learning rates are multiplied by.

        Raises:
            Diverged: a loss or gradient is not finite.
        """
        share = rate * learning_rate(self.config, k, fraction) / self.config.lr
        for i in range(self.config.score_steps):
            self.score_step(self.draw("score", k * self.config.score_steps + i), self.config.score_lr * share, k)
        outcome = self.sampler_step(self.draw("sampler", k), self.config.lr * share, k)
        self.average.update(self.sampler, k + 1)
        return outcome

    def draw(self, purpose: str, number: int) -> Drawn:
        """What a step of a purpose draws; classes come in turn, from a random one on."""
        random = generator(self.config.seed, "distill", purpose, number)
        size, classes = self.config.batch_size, self.sampler.num_classes
        y = (torch.arange(size) + torch.randint(classes, (), generator=random)) % classes
        z = torch.randn(size, *self.sampler.shape, generator=random)
        t = draw_times(LEVELS[self.config.levels], size, self.sampler.process, self.std, random)
        eps = torch.randn(z.shape, generator=random)
        return Drawn(*(v.to(self.device) for v in (y, z, t, eps)))

    def score_step(self, drawn: Drawn, lr: float, k: int) -> Tensor:
        """One step of the score network on samples of the generator as it is; returns the loss of each sample (B,)."""
        with torch.no_grad():
            x0 = self.sampler.draw(drawn.z, drawn.y)
        batch = noised(self.own.process, x0, drawn.y, drawn.y, drawn.t, drawn.eps)
        loss = denoising_loss(self.own, self.own.predict(batch.x_t, batch.t, batch.y_in), batch, "edm")
        self._descend(self.own, self.own_optimiser, loss.mean(), lr, k)
        return loss.detach()

    def sampler_step(self, drawn: Drawn, lr: float, k: int) -> Outcome:
        """One step of the generator, by the update of the method on its noised samples."""
        log_snr = self.sampler.process.log_snr(drawn.t)
        x = self.sampler.draw(drawn.z, drawn.y)
        x = x + expand((-log_snr / 2).exp(), x) * drawn.eps
        own, target = (score_of(model, drawn.t, drawn.y) for model in (self.own, self.teacher))
        probe = None
        if self.config.method == "fisher" and self.divergence != "exact":
            probe = _probe(self.divergence, drawn.z, generator(self.config.seed, "distill", "probe", k))
        rows = WEIGHTS[self.config.method](log_snr, self.std) * UPDATES[self.config.method](x, own, target, probe)
        rows = rows / x[0].numel()
        self._descend(self.sampler, self.optimiser, rows.mean(), lr, k)
        return Outcome(drawn.y, rows.detach())

    def _descend(self, model: nn.Module, optimiser: torch.optim.Optimizer, loss: Tensor, lr: float, k: int) -> None:
        _require_finite(loss, "loss", k)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        _require_finite(clip_gradients(model, self.config.clip), "gradient", k)
        for group in optimiser.param_groups:
            group["lr"] = lr
        optimiser.step()


def score_of(denoiser: Denoiser, t: Tensor, y: Tensor) -> Score:
    """The score of ``x_t / alpha`` at times ``t`` (B,) under labels ``y`` (B,), as a denoiser knows it."""

    def score(x: Tensor) -> Tensor:
        alpha = expand(denoiser.process.alpha(t), x)
        return alpha * denoiser.predict(alpha * x, t, y).score

    return score


def _probe(name: str, like: Tensor, random: torch.Generator) -> Tensor:
    """White probes in the shape of a batch."""
    if name == "gaussian":
        return torch.randn(like.shape, generator=random).to(like)
    return (torch.randint(0, 2, like.shape, generator=random) * 2 - 1).to(like)


def _require_finite(value: Tensor, what: str, k: int) -> None:
    if not bool(torch.isfinite(value)):
        raise Diverged(f"the {what} became {float(value.detach())}", k + 1)
