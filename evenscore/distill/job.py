"""Distillation of a run into another run, whose network is a one-step generator of its samples.

Law: no data are read; the folder says whose averaged weights were learned from, and goes on with no others. Step k draws from
(seed, k) only, and a checkpoint holds both networks, the averages and the moments of both optimisers. So a distillation that
was interrupted ends with bit for bit the weights of an uninterrupted one, on the same machine and with a budget in steps.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from torch import Tensor

from evenscore import records
from evenscore.checkpoint import weights_digest
from evenscore.configuration import BUDGET, require_same
from evenscore.denoisers.one_step import OneStep
from evenscore.denoisers.preconditioned import Preconditioned
from evenscore.distill.core import Distillation
from evenscore.distill.settings import DistillConfig, default_start
from evenscore.distilled import Distilled
from evenscore.errors import Diverged, RunError
from evenscore.networks.heads import ClassHeads
from evenscore.random import generator
from evenscore.run import Run, load_prefixed
from evenscore.sampling import ONE_STEP
from evenscore.training.optimise import learning_rate, load_optimiser, optimiser_tensors
from evenscore.training.preview import preview
from evenscore.training.rescue import rate_factor, rescued
from evenscore.training.stepper import Progress, Stepper

PROBES = 64
"""Samples by which a checkpoint is looked at, in class order."""
WIDEST = 10.0
"""Spread of samples, in units of the data's, that no generator of them has."""


def distill(
    teacher: Run,
    out: Path,
    config: DistillConfig,
    stop: Callable[[], bool] = lambda: False,
    checkpoint: str = "last",
) -> Iterator[Progress]:
    """Distil a run into the run folder ``out``, or go on where that was interrupted.

    Args:
        teacher: a trained run.
        out: run folder, made when it does not exist.
        config: how.
        stop: asked between steps; when true, a checkpoint is saved and the work ends with event ``stopped``.
        checkpoint: of the teacher, ``last`` or ``best``.

    Raises:
        RunError: the teacher has no score, or the folder is in use or belongs to another run.
        CheckpointError: the teacher has no checkpoint, or one of the two is damaged.
        DataError: the disk is full.
        Diverged: it diverges, and :mod:`~evenscore.training.rescue` has been tried.
    """
    denoiser = teacher.denoiser(checkpoint)
    start = default_start(float(denoiser.std.mean())) if config.start is None else config.start
    asked = Distilled(str(teacher.path), weights_digest(denoiser), start, records.write(config))
    run = Run.open(out) if Run.exists(out) else Run.create(out, teacher.config, teacher.card, asked)
    with run.lock():
        run = continued(run, asked)

        def begin(rescues: int) -> Distiller:
            job = Distiller(run, denoiser, stop, rescues)
            run.keep()
            return job

        yield from rescued(begin)


def continued(run: Run, asked: Distilled) -> Run:
    """The run, ready to go on as asked: only the budget may be another.

    Raises:
        RunError: no distillation, or one of other weights or with other settings.
    """
    mine = run.distilled
    if mine is None:
        raise RunError(f"{run.path} is a run that was trained, and is left as it is: choose another --out")
    if mine.weights != asked.weights:
        raise RunError(
            f"{run.path} learns from {mine.teacher} with other weights than {asked.teacher} has now: give that run as it was, "
            "or another --out"
        )
    known = {**records.write(DistillConfig(steps=1)), **mine.settings}
    require_same(run.path, known, asked.settings)
    return replace(run, distilled=replace(mine, settings=known | {key: asked.settings[key] for key in BUDGET}))


class Distiller(Stepper):
    """One distillation in this process.

    Args:
        run: of the generator.
        teacher: the denoiser that knows the target.
        stop: asked between steps.
        rescues: how often it was rescued, at least.
    """

    def __init__(
        self, run: Run, teacher: Preconditioned, stop: Callable[[], bool] = lambda: False, rescues: int = 0
    ) -> None:
        assert run.distilled is not None
        self.config = records.read(DistillConfig, run.distilled.settings)
        super().__init__(run, self.config, stop, rescues)
        device = Accelerator().device
        sampler = OneStep(without_heads(teacher), run.distilled.log_snr).to(device)
        own = without_heads(teacher).to(device)
        self.core = Distillation(teacher.to(device), sampler, own, self.config)
        self.resume()

    def one_step(self) -> float:
        """One step of the generator, with those of the score network before it."""
        factor, fraction = rate_factor(self.rescues), self.fraction
        outcome = self.core.step(self.step, fraction, factor)
        self.meter.add(outcome.y, outcome.gap)
        self.step += 1
        return factor * learning_rate(self.config, self.step - 1, fraction)

    def record(self) -> dict[str, Any]:
        """The spread of the averaged generator's samples, in units of the data's.

        Raises:
            Diverged: it is not finite, or far too large.
        """
        spread = self.spread()
        if not spread <= WIDEST:
            raise Diverged(
                f"the spread of the generator's samples became {spread:.4g} times that of the data", self.step
            )
        return {"step": self.step, "spread": round(spread, 6)}

    @torch.no_grad()
    def spread(self) -> float:
        """Root mean square distance of samples from the data's mean, in units of the data's standard deviation."""
        average, like = self.averaged, self.averaged.network
        z = torch.randn(PROBES, *average.shape, generator=generator(self.config.seed, "distill", "probes"))
        x = average.draw(z.to(self.core.device), torch.arange(PROBES, device=self.core.device) % average.num_classes)
        assert isinstance(like, Preconditioned)
        return float(((x - like.mean) / like.std).square().mean().sqrt())

    @property
    def averaged(self) -> OneStep:
        """The generator with its averaged weights."""
        return cast(OneStep, self.core.average.module)

    def preview(self) -> bytes | None:
        """A few samples of each class, of the averaged weights."""
        return preview(self.averaged, self.config.seed, ONE_STEP)

    def tensors(self) -> dict[str, Tensor]:
        """Weights of both networks, the generator's averages, and the moments of both optimisers."""
        tensors: dict[str, Tensor] = {}
        for prefix, module in self._modules.items():
            tensors |= {prefix + key: value for key, value in module.state_dict().items()}
        for prefix, optimiser in self._optimisers.items():
            tensors |= optimiser_tensors(optimiser, prefix)
        return tensors

    def take_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what :meth:`tensors` gave."""
        for prefix, module in self._modules.items():
            load_prefixed(module, tensors, prefix, self.run.path)
        for prefix, optimiser in self._optimisers.items():
            load_optimiser(optimiser, tensors, prefix)

    @property
    def _modules(self) -> dict[str, torch.nn.Module]:
        return {"model.": self.core.sampler.network, "ema.": self.averaged.network, "score.": self.core.own}

    @property
    def _optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {"optimiser.": self.core.optimiser, "score_optimiser.": self.core.own_optimiser}


def without_heads(denoiser: Preconditioned) -> Preconditioned:
    """A copy that can be trained, with the trained last layer where classes were given others."""
    mine = copy.deepcopy(denoiser).requires_grad_(True)
    if isinstance(mine.backbone, ClassHeads):
        mine.backbone = cast(torch.nn.Module, mine.backbone.backbone)
    return mine
