"""The sampling loop: what it costs, what it yields, and who gets noise."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError
from evenscore.prediction import Prediction
from evenscore.process import PROCESSES, VP, Process, RectifiedFlow
from evenscore.solvers import (
    DDIM,
    SOLVERS,
    AnnealedLangevin,
    DPMSolver2M,
    Euler,
    EulerMaruyama,
    Heun,
    Langevin,
    PredictorCorrector,
    Solver,
    integrate,
    steps_for,
)
from evenscore.solvers.grids import log_snr, uniform

EVERY = pytest.mark.parametrize("process", [cls() for cls in PROCESSES.values()], ids=list(PROCESSES))


class Point(Denoiser):
    """Exact denoiser of data at one point per label; counts its calls."""

    def __init__(self, process: Process) -> None:
        super().__init__()
        self.process, self.num_classes, self.shape = process, 2, (3,)
        self.times: list[float] = []

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        assert t.shape == y.shape == (len(x_t),)
        assert t.dtype == x_t.dtype
        self.times.append(float(t[0]))
        return Prediction.from_x0((y[:, None] - 0.5).expand_as(x_t).to(x_t.dtype), x_t, t, self.process)


def no_noise(shape: Sequence[int]) -> Tensor:
    raise AssertionError("a deterministic solver asked for noise")


def gaussian(shape: Sequence[int]) -> Tensor:
    return torch.randn(4, *shape, generator=torch.Generator().manual_seed(0))


FIXED = [
    *(kind() for name, kind in SOLVERS.items() if name not in ("adaptive", "annealed-langevin")),
    AnnealedLangevin(steps=2),
    Langevin(steps=2),
    PredictorCorrector(predictor="dpm++2m"),
]


@pytest.mark.parametrize("solver", FIXED, ids=repr)
@pytest.mark.parametrize("nfe", [3, 8, 9])
def test_a_run_costs_the_evaluations_it_declares(solver: Solver, nfe: int) -> None:
    denoiser = Point(VP())
    times = log_snr(VP(), steps_for(solver, nfe))
    y = torch.tensor([0, 1, 1, 0])
    steps = list(integrate(denoiser, solver, torch.randn(4, 3), times, y, gaussian))
    assert len(times) == (nfe - 1) // solver.evaluations + 1
    assert len(steps) == len(solver.path(times))
    assert nfe - solver.evaluations < len(denoiser.times) <= nfe
    chain = isinstance(solver, AnnealedLangevin | Langevin)
    assert denoiser.times[0] == pytest.approx(float(times[1]) if chain else VP.t_max)
    assert denoiser.times[-1] == pytest.approx(VP.t_min)
    assert torch.equal(steps[-1].x, (y[:, None] - 0.5).expand(4, 3))
    assert steps[-1].x.dtype == torch.float32
    assert all(step.prediction.x0.shape == (4, 3) for step in steps)


def test_too_few_evaluations_are_refused() -> None:
    assert steps_for(Heun, 3) == steps_for(Heun(), 4) == 1
    with pytest.raises(UsageError, match="2 evaluations are too few for Heun: give at least 3"):
        steps_for(Heun, 2)
    with pytest.raises(UsageError, match="too few for DDIM"):
        steps_for(DDIM(), 1)


@pytest.mark.parametrize("solver", [Euler(), Heun(), DDIM(), DPMSolver2M(), EulerMaruyama(), DDIM(eta=0.5)], ids=repr)
def test_noise_goes_to_stochastic_solvers_only(solver: Solver) -> None:
    x, y = torch.randn(4, 3, generator=torch.Generator().manual_seed(1)), torch.zeros(4, dtype=torch.int64)
    times = uniform(VP(), 4)
    noise = gaussian if solver.stochastic else no_noise
    a, b = ([s.x for s in integrate(Point(VP()), solver, x, times, y, noise)] for _ in range(2))
    assert all(torch.equal(one, two) for one, two in zip(a, b, strict=True))
    if solver.stochastic:
        other = [s.x for s in integrate(Point(VP()), solver, x, times, y, lambda shape: -gaussian(shape))]
        assert not torch.allclose(a[0], other[0])


@EVERY
@pytest.mark.parametrize("name", ["ddim", "heun", "dpm++2m"])
def test_steps_are_exact_when_the_data_are_one_point(process: Process, name: str) -> None:
    generator = torch.Generator().manual_seed(2)
    eps, y = torch.randn(4, 3, generator=generator, dtype=torch.float64), torch.tensor([0, 1, 1, 0])
    x0 = (y[:, None] - 0.5).expand(4, 3).double()
    times = uniform(process, 3)
    start = process.perturb(x0, times[0].expand(4), eps)
    for step, s in zip(integrate(Point(process), SOLVERS[name](), start, times, y, no_noise), times[1:], strict=False):
        torch.testing.assert_close(step.x, process.perturb(x0, s.expand(4), eps), rtol=1e-9, atol=1e-9)


def test_on_straight_lines_euler_is_ddim() -> None:
    process = RectifiedFlow()
    x, y = torch.randn(4, 3, dtype=torch.float64), torch.tensor([0, 1, 1, 0])
    t, s = torch.tensor([0.8, 0.3], dtype=torch.float64)
    steps = [solver.step(Point(process), x, t, s, y, (), None).x for solver in (Euler(), DDIM())]
    torch.testing.assert_close(*steps, rtol=1e-12, atol=1e-12)


@EVERY
def test_ddim_with_full_noise_draws_from_the_exact_posterior(process: Process) -> None:
    x0, y = torch.full((1, 3), 0.5, dtype=torch.float64), torch.ones(1, dtype=torch.int64)
    t, s = torch.tensor([0.6, 0.4], dtype=torch.float64)
    x, z = torch.tensor([[0.3, -0.9, 1.4]], dtype=torch.float64), torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64)
    ratio = process.alpha(t) / process.alpha(s)
    between = process.sigma(t) ** 2 - ratio**2 * process.sigma(s) ** 2
    variance = between * process.sigma(s) ** 2 / process.sigma(t) ** 2
    mean = variance * (ratio * x / between + process.alpha(s) * x0 / process.sigma(s) ** 2)
    found = DDIM(eta=1.0).step(Point(process), x, t, s, y, (), z).x
    torch.testing.assert_close(found, mean + variance.sqrt() * z, rtol=1e-9, atol=1e-9)


def test_settings_and_calls_without_meaning_are_refused() -> None:
    with pytest.raises(UsageError, match=r"eta is 1\.5: give a number from 0"):
        DDIM(eta=1.5)
    x, t = torch.zeros(1, 3), torch.tensor(0.5)
    with pytest.raises(UsageError, match="was given no noise"):
        EulerMaruyama().step(Point(VP()), x, t, t / 2, torch.zeros(1, dtype=torch.int64), (), None)
