"""Our solvers beside azula's samplers, where azula is installed: it needs torchvision, so it is never asked for here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from itertools import islice, pairwise
from typing import Any

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.process import Process
from evenscore.random import generator
from evenscore.solvers import DDIM, GRIDS, Ancestral, Heun, Solver, integrate

STEPS = 25


def differences(denoiser: Denoiser, x: Tensor, y: Tensor) -> dict[str, float]:
    """Largest difference of the ends of whole paths, by pair; empty where azula is not installed.

    Args:
        denoiser: in continuous time.
        x: (B, *shape) where paths begin.
        y: (B,) labels.
    """
    if find_spec("azula") is None:
        return {}
    import azula.sample as peers

    times = GRIDS["log-snr"](denoiser.process, STEPS)
    pairs: Mapping[str, tuple[Solver, Any, dict[str, Any]]] = {
        "ddim: azula's DDIM": (DDIM(), peers.DDIMSampler, {}),
        "ddim: azula's Euler": (DDIM(), peers.EulerSampler, {}),
        "ddim, eta 0.5: azula's DDIM, eta 0.25 (a share of the variance)": (
            DDIM(eta=0.5),
            peers.DDIMSampler,
            {"eta": 0.25},
        ),
        "heun, edm line: azula's Heun": (Heun(line="edm"), peers.HeunSampler, {}),
        "ancestral: azula's DDPM": (Ancestral(), peers.DDPMSampler, {}),
    }
    return {
        name: float(
            (_ours(denoiser, solver, times, x, y) - _theirs(denoiser, sampler, settings, times, x, y)).abs().max()
        )
        for name, (solver, sampler, settings) in pairs.items()
    }


def _ours(denoiser: Denoiser, solver: Solver, times: Tensor, x: Tensor, y: Tensor) -> Tensor:
    torch.manual_seed(generator(0, "azula").initial_seed())
    path = integrate(denoiser, solver, x, times, y, lambda shape: torch.randn(len(x), *shape))
    for step in islice(path, STEPS):
        end = step.x
    return end


def _theirs(
    denoiser: Denoiser, sampler: Any, settings: Mapping[str, Any], times: Tensor, x: Tensor, y: Tensor
) -> Tensor:
    from azula.denoise import DiracPosterior

    process: Process = denoiser.process

    class Seen(torch.nn.Module):
        """The denoiser as azula calls it."""

        def schedule(self, t: Tensor) -> tuple[Tensor, Tensor]:
            return process.alpha(t).to(x), process.sigma(t).to(x)

        def forward(self, x_t: Tensor, t: Tensor) -> Any:
            return DiracPosterior(denoiser.predict(x_t, t.to(x_t).expand(len(x_t)), y).x0)

    torch.manual_seed(generator(0, "azula").initial_seed())
    peer, end = sampler(Seen(), silent=True, **settings), x
    for t, s in pairwise(times):
        end = peer.step(end, t, s)
    return end
