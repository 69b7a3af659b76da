"""Time grids: at which times a solver stops on its way from noise to data.

Law: ``grid(process, steps)`` returns ``steps + 1`` strictly falling float64 times, from ``process.t_max`` to
``process.t_min`` exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from evenscore.errors import UsageError
from evenscore.process import Process, check_times


class Grid(Protocol):
    """A rule for placing times; further settings have defaults."""

    def __call__(self, process: Process, steps: int) -> Tensor:
        """``steps + 1`` times (steps + 1,)."""


def uniform(process: Process, steps: int) -> Tensor:
    """Evenly spaced in time.

    Raises:
        UsageError: fewer than one step.
    """
    return _pin(process, process.t_max + _fractions(steps) * (process.t_min - process.t_max))


def edm(process: Process, steps: int, rho: float = 7.0) -> Tensor:
    """Evenly spaced in ``(sigma / alpha)^(1 / rho)`` (Karras et al. 2022, eq. 5): denser at low noise as ``rho`` grows.

    Raises:
        UsageError: fewer than one step.
    """
    high, low = (torch.exp(-_log_snr_at(process, t) / (2 * rho)) for t in (process.t_max, process.t_min))
    return _pin(process, process.time(-2 * rho * torch.log(high + _fractions(steps) * (low - high))))


def log_snr(process: Process, steps: int) -> Tensor:
    """Evenly spaced in log SNR (Lu et al. 2022).

    Raises:
        UsageError: fewer than one step.
    """
    low, high = (_log_snr_at(process, t) for t in (process.t_max, process.t_min))
    return _pin(process, process.time(low + _fractions(steps) * (high - low)))


def ladder(process: Process, levels: int = 10, first: float = 1.0, last: float = 0.01) -> Tensor:
    """Times (levels,) at which ``sigma / alpha`` takes the values of a geometric series: the noise levels of NCSN.

    The defaults are those of Song & Ermon 2019 for images in [0, 1]. Unlike a grid the ladder ends where ``last`` says.
    ``VE(sigma_min=last, sigma_max=first)`` has the same levels as its uniform grid.

    Raises:
        UsageError: fewer than two levels, levels that do not fall, or a level outside the range of the process.
    """
    if levels < 2 or not 0 < last < first:
        raise UsageError(
            f"{levels} levels from {first:g} to {last:g} were asked for: give at least 2, falling, above 0"
        )
    span = torch.tensor([first, last], dtype=torch.float64).log()
    times = process.time(-2 * (span[0] + _fractions(levels - 1) * (span[1] - span[0])))
    check_times(process, times)
    return times


GRIDS: Mapping[str, Grid] = {"uniform": uniform, "edm": edm, "log-snr": log_snr}


def _fractions(steps: int) -> Tensor:
    """0 to 1 in ``steps`` equal parts."""
    if steps < 1:
        raise UsageError(f"a time grid of {steps} steps was asked for: give at least 1")
    return torch.linspace(0, 1, steps + 1, dtype=torch.float64)


def _log_snr_at(process: Process, t: float) -> Tensor:
    return process.log_snr(torch.tensor(t, dtype=torch.float64))


def _pin(process: Process, times: Tensor) -> Tensor:
    """``times`` with both ends set exactly."""
    ends = torch.tensor([process.t_max, process.t_min], dtype=times.dtype)
    return torch.cat([ends[:1], times[1:-1], ends[1:]])
