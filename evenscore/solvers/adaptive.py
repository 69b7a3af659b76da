"""The probability-flow ODE with adaptive steps: the embedded pair of Bogacki & Shampine (1989), orders 3 and 2.

It runs on the straight line, ``z = x / (alpha + sigma)`` and ``u = sigma / (alpha + sigma)`` in [0, 1], where every
process has the same bounded equation ``dz/du = eps - x0`` (see :mod:`evenscore.solvers.heun`).

Law: a step of length h is taken when ``|e_i| <= atol + rtol max(|z_i|, |z_i'|)`` holds in the root mean square over the
coordinates of a sample, ``e`` being the difference of the two orders; the next one is ``h (0.9 / error^(1/3))``, within a
factor of 0.2 to 5. Every sample has steps of its own, so none depends on the batch it stands in.

One interval of the grid costs at least four evaluations, and as many more as the tolerance asks for: the grid says where
the solver stops, not how it gets there.

No library of ODE solvers is needed for this: torchdiffeq, the usual one, has one step size for the whole batch, so that a
sample would depend on its company; the pair here is tested against closed forms and against scipy's RK45.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser, evaluate
from evenscore.process import Process, expand
from evenscore.records import check
from evenscore.solvers.base import Solver, State, Step

SHORTEST = 1e-7
"""Smallest step in ``u``, taken whatever its error."""


class Tried(NamedTuple):
    """One attempted step of some rows.

    Attributes:
        z: (R, ...) the rows after it.
        slope: (R, ...) ``dz/du`` there.
        error: (R,) its error in units of the tolerance, float64.
    """

    z: Tensor
    slope: Tensor
    error: Tensor


@dataclass(frozen=True)
class Adaptive(Solver):
    """Probability-flow ODE with a step size of its own for every sample, chosen by tolerance.

    Its state is the last accepted step size in ``u`` of every row, (B,).

    Attributes:
        rtol: relative tolerance of a step, above 0.
        atol: absolute tolerance of a step, above 0, in units of the data.

    Raises:
        UsageError: a tolerance that is not above 0.
    """

    rtol: float = 1e-3
    atol: float = 1e-3
    order: ClassVar[int] = 3
    evaluations: ClassVar[int] = 4

    def __post_init__(self) -> None:
        check("rtol", self.rtol, self.rtol > 0, "above 0")
        check("atol", self.atol, self.atol > 0, "above 0")

    def step(
        self, denoiser: Denoiser, x: Tensor, t: Tensor, s: Tensor, y: Tensor, state: State, noise: Tensor | None
    ) -> Step:
        process = denoiser.process
        now = evaluate(denoiser, x, t, y)
        (u, before), (end, after) = _line(process, t), _line(process, s)
        place = torch.full((len(x),), u, dtype=torch.float64)
        size = state[0] if state else torch.full_like(place, u - end)
        z, slope = x / before, now.eps - now.x0
        active = torch.arange(len(x))
        while len(active):
            rows = active.to(x.device)
            length = torch.minimum(size[active], place[active] - end)
            tried = self._try(denoiser, z[rows], slope[rows], place[active], length, y[rows])
            taken = ~(tried.error > 1) | (length <= SHORTEST)
            kept, kept_rows = active[taken], rows[taken.to(x.device)]
            z = z.index_copy(0, kept_rows, tried.z[taken.to(x.device)])
            slope = slope.index_copy(0, kept_rows, tried.slope[taken.to(x.device)])
            place[kept] = torch.where(length[taken] >= place[kept] - end, end, place[kept] - length[taken])
            size = size.index_copy(0, active, _next(size[active], length, tried.error, taken))
            active = (place > end).nonzero().squeeze(1)
        return Step(after * z, (size,), now)

    def _try(self, denoiser: Denoiser, z: Tensor, slope: Tensor, u: Tensor, length: Tensor, y: Tensor) -> Tried:
        """One step of the pair from ``u`` (R,) to ``u - length``."""
        h = expand(-length.to(z), z)
        half = _slope(denoiser, z + h / 2 * slope, u - length / 2, y)
        late = _slope(denoiser, z + h * 3 / 4 * half, u - length * 3 / 4, y)
        there = z + h * (2 * slope + 3 * half + 4 * late) / 9
        last = _slope(denoiser, there, u - length, y)
        error = h * (-5 / 72 * slope + half / 12 + late / 9 - last / 8)
        allowed = self.atol + self.rtol * torch.maximum(z.abs(), there.abs())
        size = (error / allowed).flatten(1).square().mean(1).sqrt()
        return Tried(there, last, size.cpu().double())


def _next(size: Tensor, length: Tensor, error: Tensor, taken: Tensor) -> Tensor:
    """Step sizes (R,) to try next; a step that was cut short at the end of an interval makes none smaller."""
    factor = (0.9 * error.clamp_min(1e-12).pow(-1 / 3)).clamp(0.2, 5.0).nan_to_num(1.0)
    wanted = (length * factor).clamp_min(SHORTEST)
    return torch.where(taken & (length < size), torch.maximum(size, wanted), wanted)


def _line(process: Process, t: Tensor) -> tuple[float, float]:
    """``u`` and ``alpha + sigma`` at a time ()."""
    alpha, sigma = process.alpha(t), process.sigma(t)
    return float(sigma / (alpha + sigma)), float(alpha + sigma)


def _slope(denoiser: Denoiser, z: Tensor, u: Tensor, y: Tensor) -> Tensor:
    """``dz/du`` for rows at places ``u`` (R,) of the line."""
    process = denoiser.process
    t = process.time(2 * torch.log((1 - u) / u)).clamp(process.t_min, process.t_max)
    scale = process.alpha(t) + process.sigma(t)
    now = denoiser.predict(expand(scale.to(z), z) * z, t.to(z), y)
    return now.eps - now.x0
