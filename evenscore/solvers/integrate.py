"""The sampling loop, as a generator: from noise at the first time of a grid to a clean sample.

Law: after the grid one more evaluation replaces the batch by its predicted clean sample ``E[x0 | x_t]``, the mean without
noise that predictor-corrector sampling ends with. So a run over N intervals costs ``N * evaluations + 1`` evaluations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from torch import Tensor

from evenscore.denoisers.base import Denoiser, evaluate
from evenscore.errors import UsageError
from evenscore.solvers.base import Solver, Step


def steps_for(solver: Solver | type[Solver], nfe: int) -> int:
    """How many intervals of a grid ``nfe`` denoiser evaluations pay for, one being kept for the end.

    Args:
        solver: a solver, or its class for default settings.
        nfe: denoiser evaluations.

    Raises:
        UsageError: not enough for one interval.
    """
    solver = solver() if isinstance(solver, type) else solver
    if nfe < solver.evaluations + 1:
        name, least = type(solver).__name__, solver.evaluations + 1
        raise UsageError(f"{nfe} evaluations are too few for {name}: give at least {least}")
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
        Every solver step (N, or as many as the solver's path has), then the clean sample.
    """
    state = solver.init(x)
    for t, s in pairwise(solver.path(times)):
        fresh = noise(x.shape[1:]).to(x) if solver.stochastic else None
        step = solver.step(denoiser, x, t, s, y, state, fresh)
        x, state = step.x, step.state
        yield step
    last = evaluate(denoiser, x, times[-1], y)
    yield Step(last.x0, state, last)
