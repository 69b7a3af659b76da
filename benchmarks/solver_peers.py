"""Our solvers against diffusers' schedulers: the same network, start and noise; largest difference, and time in one run.

Both sides draw their noise from generators with one seed, in the same order. What is compared is the end of the path;
where a scheduler goes on to sigma = 0 by another rule than ours, the batch before that. Differences are measured on a
small network over whole paths, for one sample (the mean norm over a batch that the corrector of diffusers takes is then
that of the sample). Times are measured on a network of realistic cost, over the first steps of long paths, in seconds of
the processor on one thread. What a step costs beside the network is the difference on the small one, stated apart.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from itertools import islice
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks import azula_peers
from benchmarks.runner import Outcome
from evenscore.denoisers.adapters import Adapter
from evenscore.denoisers.base import Denoiser
from evenscore.prediction import Prediction
from evenscore.process import VE, VP, Process, expand
from evenscore.solvers import (
    DDIM,
    Ancestral,
    DPMSolver2M,
    EulerMaruyama,
    Heun,
    PredictorCorrector,
    ReverseDiffusion,
    Solver,
    integrate,
)

SUMMARY = "Our solvers against diffusers' schedulers on one network and noise: largest difference 1e-4, and not slower"
SHAPE, CLASSES = (1, 16, 16), 3
BETAS = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
SEED, STEPS = 1, 25
DIFFERENCE, RATIO = 1e-4, 1.05
"""Bounds; a ratio of times is known to some 5 percent."""
End = Callable[[], Tensor]


class Peer(NamedTuple):
    """Two functions that run one sampler to its end, ours and theirs."""

    ours: End
    theirs: End


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--rounds", type=int, default=11, help="timed rounds, ours and theirs in turn")
    parser.add_argument("--width", type=int, default=128, help="channels of the network while timing")
    parser.add_argument("--batch", type=int, default=8, help="samples computed together while timing")


def run(args: argparse.Namespace) -> Outcome:
    """Compare every pair; times are medians over paired rounds."""
    torch.set_num_threads(1)
    values: dict[str, dict[str, float]] = {"difference": {}, "time ratio": {}, "ours minus theirs, ms per step": {}}
    with torch.inference_mode():
        whole = peers(Network(8), 1, None)
        bare, short = peers(Network(8), 1, STEPS), peers(Network(args.width), args.batch, STEPS)
        for name, peer in whole.items():
            difference = float((peer.ours() - peer.theirs()).abs().max())
            ratio = median(ours / theirs for ours, theirs in paired(short[name], args.rounds))
            values["difference"][name] = difference
            values["time ratio"][name] = ratio
            apart = median(ours - theirs for ours, theirs in paired(bare[name], args.rounds))
            values["ours minus theirs, ms per step"][name] = 1000 * apart / STEPS
            print(f"{name}: {difference:.1e}, {ratio:.3f}", flush=True)
        values["difference"] |= azula_peers.differences(Continuous(Network(8), VP()), *_start(4))
    limits = {"difference": DIFFERENCE, "time ratio": RATIO}
    bound = {row: dict.fromkeys(values[row], limit) for row, limit in limits.items()}
    holds = all(value <= limit for row, limit in limits.items() for value in values[row].values())
    return Outcome(values, bound, holds)


def paired(peer: Peer, rounds: int) -> list[tuple[float, float]]:
    """Processor seconds of ours and of theirs in every round; who goes first alternates, after one round to warm up."""
    found = []
    for i in range(rounds + 1):
        spent = [0.0, 0.0]
        for side in (0, 1) if i % 2 else (1, 0):
            started = time.process_time()
            peer[side]()
            spent[side] = time.process_time() - started
        found.append((spent[0], spent[1]))
    return found[1:]


class Network(nn.Module):
    """A convolutional network with random weights that uses the time index and the label, and predicts noise."""

    def __init__(self, width: int) -> None:
        super().__init__()
        source = torch.Generator().manual_seed(0)
        self.first, self.middle = nn.Conv2d(1, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.last, self.label = nn.Conv2d(width, 1, 3, padding=1), nn.Embedding(CLASSES, width)
        self.register_buffer("rates", torch.arange(1.0, width + 1) / 1000)
        for parameter in self.parameters():
            parameter.data = 0.1 * torch.randn(parameter.shape, generator=source)

    def forward(self, x: Tensor, index: Tensor, y: Tensor) -> Tensor:
        """Predicted noise (B, 1, H, W) at the time indices (B,) of a schedule of 1000."""
        condition = self.label(y) + torch.cos(index[:, None] * self.get_buffer("rates"))
        hidden = torch.tanh(self.first(x) + condition[:, :, None, None])
        noise: Tensor = x + 0.3 * self.last(torch.tanh(self.middle(hidden)))
        return noise


class Continuous(Denoiser):
    """The network as a denoiser of a process in continuous time: scaled to unit variance, index ``999 t``."""

    def __init__(self, network: nn.Module, process: Process) -> None:
        super().__init__()
        self.network, self.process, self.num_classes, self.shape = network, process, CLASSES, SHAPE

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        """Predict noise."""
        alpha, sigma = expand(self.process.alpha(t), x_t), expand(self.process.sigma(t), x_t)
        eps = self.network(x_t / (alpha.square() + sigma.square()).sqrt(), 999 * t, y)
        return Prediction(x_t, alpha, sigma, (x_t - sigma * eps) / alpha, eps)


def peers(network: nn.Module, batch: int, limit: int | None) -> dict[str, Peer]:
    """Every pair by name, paths longer than :data:`STEPS` cut to ``limit``."""
    import diffusers as d
    from diffusers.schedulers.deprecated.scheduling_sde_vp import ScoreSdeVpScheduler

    whole = {"timestep_spacing": "leading", **BETAS}
    ddpm = {"clip_sample": False, **whole}
    small, large = (d.DDPMScheduler(variance_type=kind, **ddpm) for kind in ("fixed_small", "fixed_large"))
    multistep = {"algorithm_type": "dpmsolver++", "solver_type": "midpoint", "final_sigmas_type": "zero", **whole}
    pairs: dict[str, tuple[Solver, Any, int, dict[str, Any]]] = {
        "ancestral: DDPM, small variance": (Ancestral(), small, STEPS, {}),
        "ancestral: DDPM, large variance": (Ancestral(variance="forward"), large, STEPS, {}),
        "ancestral: Euler ancestral": (Ancestral(), d.EulerAncestralDiscreteScheduler(**whole), STEPS, {}),
        "ddim: DDIM": (DDIM(), d.DDIMScheduler(clip_sample=False, **whole), STEPS, {}),
        "ddim: DDIM, eta 0.5": (DDIM(eta=0.5), d.DDIMScheduler(clip_sample=False, **whole), STEPS, {"eta": 0.5}),
        "ddim: Euler in sigma": (DDIM(), d.EulerDiscreteScheduler(**whole), STEPS, {}),
        "heun, edm line: Heun": (Heun(line="edm"), d.HeunDiscreteScheduler(**whole), STEPS, {}),
        "dpm++2m: DPM-Solver++(2M)": (DPMSolver2M(), d.DPMSolverMultistepScheduler(**multistep), STEPS, {}),
    }
    found = {name: _discrete(network, batch, *pair) for name, pair in pairs.items()}
    found["euler-maruyama: score SDE VP"] = _maruyama(network, batch, ScoreSdeVpScheduler(), limit)
    for name, solver in (
        ("reverse-diffusion: score SDE VE", ReverseDiffusion()),
        ("predictor-corrector: score SDE VE", PredictorCorrector(norms="sample", snr=0.15)),
    ):
        scheduler = d.ScoreSdeVeScheduler(sigma_min=0.01, sigma_max=50.0, snr=0.15)
        found[name] = _exploding(network, batch, solver, scheduler, limit)
    return found


def _start(batch: int) -> tuple[Tensor, Tensor]:
    """Standard normal values (B, *SHAPE), and labels."""
    return torch.randn(batch, *SHAPE, generator=torch.Generator().manual_seed(0)), torch.arange(batch) % CLASSES


def _noise(batch: int) -> Callable[[Sequence[int]], Tensor]:
    source = torch.Generator().manual_seed(SEED)
    return lambda shape: torch.randn(batch, *shape, generator=source)


def _discrete(
    network: nn.Module, batch: int, solver: Solver, scheduler: Any, steps: int, settings: dict[str, Any]
) -> Peer:
    """A scheduler on DDPM's thousand times, in whichever scaling it works, against our solver on VP."""
    x, y = _start(batch)
    scheduler.set_timesteps(steps)
    whole = torch.unique_consecutive(scheduler.timesteps).long()
    process = VP()
    times = process.time(torch.logit(scheduler.alphas_cumprod.double()[whole]))
    adapter = Adapter(network, scheduler.alphas_cumprod.double(), process, CLASSES, SHAPE, "eps")
    drawing = solver.stochastic

    def ours() -> Tensor:
        for step in integrate(adapter, solver, x, times, y, _noise(batch)):
            end = step.x
        return end

    def theirs() -> Tensor:
        scheduler.set_timesteps(steps)
        extra = {**settings, **({"generator": torch.Generator().manual_seed(SEED)} if drawing else {})}
        end = x * (getattr(scheduler, "sigmas", torch.zeros(1))[0].square() + 1).sqrt() if _exploded(scheduler) else x
        for index in scheduler.timesteps:
            seen = scheduler.scale_model_input(end, index)
            end = scheduler.step(network(seen, index.expand(batch).float(), y), index, end, **extra).prev_sample
        return end

    return Peer(ours, theirs)


def _exploded(scheduler: Any) -> bool:
    """Whether a scheduler works on ``x / alpha``."""
    return type(scheduler).__name__.startswith(("Euler", "Heun"))


def _maruyama(network: nn.Module, batch: int, scheduler: Any, limit: int | None, steps: int = 1000) -> Peer:
    """Euler-Maruyama on the VP SDE at a thousand times, where the scheduler's step equals their distance."""
    x, y = _start(batch)
    count = limit or steps - 1
    denoiser = Continuous(network, VP())
    times = torch.linspace(1.0, 1e-3, steps, dtype=torch.float64)

    def ours() -> Tensor:
        for step in islice(integrate(denoiser, EulerMaruyama(), x, times, y, _noise(batch)), count):
            end = step.x
        return end

    def theirs() -> Tensor:
        scheduler.set_timesteps(steps)
        source, end = torch.Generator().manual_seed(SEED), x
        for t in scheduler.timesteps[:count]:
            end, _ = scheduler.step_pred(network(end, 999 * t.expand(batch), y), end, t, generator=source)
        return end

    return Peer(ours, theirs)


def _exploding(
    network: nn.Module, batch: int, solver: Solver, scheduler: Any, limit: int | None, steps: int = 200
) -> Peer:
    """SMLD's predictor, and its corrector, which agrees for a batch of one."""
    process = VE(sigma_min=0.01, sigma_max=50.0)
    x, y = _start(batch)
    x, denoiser = process.prior(x), Continuous(network, process)
    times = torch.linspace(1.0, 0.0, steps, dtype=torch.float64)
    correct = isinstance(solver, PredictorCorrector)
    length = limit or steps - 1
    count = length * (2 if correct else 1)

    def ours() -> Tensor:
        for step in islice(integrate(denoiser, solver, x, times, y, _noise(batch)), count):
            end = step.x
        return end

    def score(end: Tensor, level: int) -> Tensor:
        sigma = scheduler.discrete_sigmas[level]
        index = torch.full((batch,), 999.0 * level / (steps - 1))
        return -network(end / (1 + sigma.square()).sqrt(), index, y) / sigma

    def theirs() -> Tensor:
        scheduler.set_timesteps(steps)
        scheduler.set_sigmas(steps)
        source, end = torch.Generator().manual_seed(SEED), x
        for i, t in enumerate(scheduler.timesteps[:length]):
            end = scheduler.step_pred(score(end, steps - 1 - i), t, end, generator=source).prev_sample
            if correct:
                end = scheduler.step_correct(score(end, steps - 2 - i), end, generator=source).prev_sample
        return end

    return Peer(ours, theirs)
