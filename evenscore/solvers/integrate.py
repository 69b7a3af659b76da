"""The sampling loop, as a generator: from noise at the first time of a grid to a clean sample.

Law: after the grid one more evaluation replaces the batch by its predicted clean sample ``E[x0 | x_t]``, so a run costs
``steps * evaluations + 1`` denoiser evaluations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError
from evenscore.solvers.base import Solver, Step, evaluate


def steps_for(solver: Solver | type[Solver], nfe: int) -> int:
    """How many steps ``nfe`` denoiser evaluations pay for, one being kept for the end.

    Raises:
        UsageError: not enough for one step.
    """
    if nfe < solver.evaluations + 1:
        name = (solver if isinstance(solver, type) else type(solver)).__name__
        raise UsageError(f"{nfe} evaluations are too few for {name}: give at least {solver.evaluations + 1}")
    return (nfe - 1) // solver.evaluations


def integrate(
    denoiser: Denoiser,
    solver: Solver,
    x: Tensor,
    times: Tensor,
    y: Tensor,
    noise: Callable[[Sequence[int]], Tensor],
) -> Iterator[Step]:
    """Every step of a solver along a grid; the last step's ``x`` is the sample.

    Args:
        denoiser: gives the predictions.
        solver: the rule for one step.
        x: (B, ...) batch at ``times[0]``.
        times: (N + 1,) falling times.
        y: (B,) labels.
        noise: maps the shape of one sample to (B, *shape) standard normal values; called for stochastic solvers only.

    Yields:
        N solver steps, then the clean sample.
    """
    state = solver.init(x)
    for t, s in pairwise(times):
        fresh = noise(x.shape[1:]).to(x) if solver.stochastic else None
        step = solver.step(denoiser, x, t, s, y, state, fresh)
        x, state = step.x, step.state
        yield step
    last = evaluate(denoiser, x, times[-1], y)
    yield Step(last.x0, state, last)
