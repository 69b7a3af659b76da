"""Time grids: ends, order and spacing, for every process."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evenscore.errors import UsageError
from evenscore.process import PROCESSES, VE, VP, Process
from evenscore.solvers.grids import GRIDS, edm, ladder, log_snr, uniform

EVERY = pytest.mark.parametrize("process", [cls() for cls in PROCESSES.values()], ids=list(PROCESSES))


def noise_to_signal(process: Process, times: Tensor) -> Tensor:
    return process.sigma(times) / process.alpha(times)


@EVERY
@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("steps", [1, 2, 17])
def test_a_grid_falls_from_the_last_time_to_the_first(process: Process, name: str, steps: int) -> None:
    times = GRIDS[name](process, steps)
    assert times.shape == (steps + 1,)
    assert times.dtype == torch.float64
    assert (float(times[0]), float(times[-1])) == (process.t_max, process.t_min)
    assert bool((times.diff() < 0).all())


@EVERY
def test_each_grid_is_even_in_its_own_variable(process: Process) -> None:
    for values in (
        uniform(process, 9),
        process.log_snr(log_snr(process, 9)),
        noise_to_signal(process, edm(process, 9)) ** (1 / 7),
        noise_to_signal(process, edm(process, 9, rho=2.0)) ** (1 / 2),
    ):
        gaps = values.diff()
        torch.testing.assert_close(gaps, gaps.mean().expand(9), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", GRIDS)
def test_no_steps_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="grid of 0 steps was asked for: give at least 1"):
        GRIDS[name](VP(), 0)


@EVERY
def test_a_ladder_has_the_levels_of_the_paper_on_every_process(process: Process) -> None:
    levels = noise_to_signal(process, ladder(process, 8, first=1.0, last=0.02))
    expected = torch.tensor([0.02 ** (i / 7) for i in range(8)], dtype=torch.float64)
    torch.testing.assert_close(levels, expected, rtol=1e-6, atol=0)


def test_a_ladder_is_the_uniform_grid_of_its_own_ve() -> None:
    process = VE(sigma_min=0.01, sigma_max=1.0)
    torch.testing.assert_close(ladder(process), uniform(process, 9), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("levels", "first", "last"), [(1, 1.0, 0.1), (3, 0.1, 1.0), (3, 1.0, 0.0)])
def test_a_ladder_that_does_not_fall_is_refused(levels: int, first: float, last: float) -> None:
    with pytest.raises(UsageError, match="give at least 2, falling, above 0"):
        ladder(VP(), levels, first, last)


def test_a_ladder_outside_the_process_is_refused() -> None:
    with pytest.raises(UsageError, match="lies outside"):
        ladder(VE(sigma_max=50.0), first=80.0)
