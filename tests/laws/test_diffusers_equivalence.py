"""DDIM and DPM-Solver++(2M) against diffusers' schedulers: same network, same noise, same times, same trajectory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler
from torch import Tensor, nn

from evenscore.denoisers.adapters import Adapter
from evenscore.process import PROCESSES, VP, Process
from evenscore.solvers import DDIM, DPMSolver2M, Solver, integrate

SHAPE, BATCH = (1, 4, 4), 5
LABELS = torch.tensor([0, 1, 2, 1, 0])
SCHEDULES = {
    "linear": {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"},
    "scaled": {"beta_start": 8.5e-4, "beta_end": 0.012, "beta_schedule": "scaled_linear"},
}
MULTISTEP = {"algorithm_type": "dpmsolver++", "solver_order": 2, "solver_type": "midpoint", "final_sigmas_type": "zero"}


class Network(nn.Module):
    """A small convolutional network with random weights that uses the time index and the label."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 1, 3, padding=1)
        self.label = nn.Embedding(3, 8)

    def forward(self, x: Tensor, index: Tensor, y: Tensor) -> Tensor:
        condition = self.label(y) + torch.cos(index[:, None] / 1000 * torch.arange(1.0, 9.0))
        return x + 0.3 * self.last(torch.tanh(self.first(x) + condition[:, :, None, None]))


def gaussian(seed: int, count: int) -> Tensor:
    return torch.randn(count, BATCH, *SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def theirs(scheduler: Any, network: nn.Module, x: Tensor, **settings: Any) -> Iterator[Tensor]:
    """The trajectory of a diffusers sampling loop, with the noise for step ``i`` in row ``i`` of ``noise``."""
    noise = settings.pop("noise", None)
    for i, index in enumerate(scheduler.timesteps):
        output = network(x, index.to(x).expand(len(x)), LABELS)
        if noise is not None:
            settings["variance_noise"] = noise[i]
        x = scheduler.step(output, index, x, **settings).prev_sample
        yield x


def ours(
    solver: Solver, scheduler: Any, network: nn.Module, process: Process, x: Tensor, noise: Tensor
) -> list[Tensor]:
    """Our trajectory at the scheduler's times, scaled to variance-preserving form."""
    cumulative = scheduler.alphas_cumprod.double()
    times = process.time(torch.logit(cumulative[scheduler.timesteps.long()]))
    prediction = {"epsilon": "eps", "v_prediction": "v", "sample": "x0"}[scheduler.config.prediction_type]
    adapter = Adapter(network, cumulative, process, 3, SHAPE, prediction)
    rows = iter(noise)

    def fresh(shape: Sequence[int]) -> Tensor:
        return next(rows)

    scale = (process.alpha(times).square() + process.sigma(times).square()).sqrt()
    found = [step.x for step in integrate(adapter, solver, x * scale[0], times, LABELS, fresh)]
    return [x / s for x, s in zip(found[:-1], scale[1:], strict=True)] + found[-1:]


def check_same_path(solver: Solver, scheduler: Any, process: Process, steps: int, **settings: Any) -> None:
    network = Network().double()
    scheduler.set_timesteps(steps)
    start, noise = gaussian(1, 1)[0], gaussian(2, steps)
    if settings:
        settings["noise"] = noise
    with torch.no_grad():
        expected = list(theirs(scheduler, network, start, **settings))
        found = ours(solver, scheduler, network, process, start, noise)
    assert len(found) == len(expected) == steps
    for i, (one, two) in enumerate(zip(found, expected, strict=True)):
        torch.testing.assert_close(one, two.double(), rtol=1e-4, atol=1e-4, msg=lambda m, i=i: f"step {i}: {m}")


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("eta", [0.0, 0.6])
def test_ddim(schedule: str, prediction: str, eta: float) -> None:
    scheduler = DDIMScheduler(**SCHEDULES[schedule], prediction_type=prediction, clip_sample=False)
    check_same_path(DDIM(eta=eta), scheduler, VP(), 20, **({"eta": eta} if eta else {}))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("steps", [10, 25])
def test_dpm_solver(schedule: str, prediction: str, steps: int) -> None:
    scheduler = DPMSolverMultistepScheduler(**SCHEDULES[schedule], prediction_type=prediction, **MULTISTEP)
    check_same_path(DPMSolver2M(), scheduler, VP(), steps)


@pytest.mark.parametrize("process", ["ve", "ou", "rectified-flow"])
@pytest.mark.parametrize("name", ["ddim", "dpm"])
def test_any_process_takes_the_same_path(process: str, name: str) -> None:
    scheduler: Any = DDIMScheduler(**SCHEDULES["linear"], clip_sample=False)
    solver: Solver = DDIM()
    if name == "dpm":
        scheduler, solver = DPMSolverMultistepScheduler(**SCHEDULES["linear"], **MULTISTEP), DPMSolver2M()
    check_same_path(solver, scheduler, PROCESSES[process](), 20)
