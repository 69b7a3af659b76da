"""The Runge-Kutta method of Dormand & Prince (1980), order 5 with an error estimate of order 4, step sizes by the row.

Law: each row of the state has its own time and its own step, so a row's solution does not depend on the rows beside it;
a step is kept when its estimated error is at most ``tolerance * (1 + |state|)``, as a root mean square over each part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from evenscore.errors import EvenscoreError

NODES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
STAGES: tuple[tuple[float, ...], ...] = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
FOURTH = (5179 / 57600, 0.0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40)
ERROR = tuple(b - c for b, c in zip((*STAGES[-1], 0.0), FOURTH, strict=True))

LONGEST = 1 / 15
"""Steps are at most this share of the whole interval: over a long step the estimate of the error can vanish by chance."""
SAFETY, SHRINK, GROW = 0.9, 0.2, 5.0
MAX_ATTEMPTS = 3000
SMALLEST = 1e-12
"""Steps below this share of the whole interval mean that the field cannot be followed."""


class Field(Protocol):
    """The right side of the equation."""

    def __call__(self, state: Tensor, t: Tensor, rows: Tensor, /) -> Tensor:
        """Slopes (R, S) of the rows ``rows`` (R,) of the batch, at their ``state`` (R, S) and times ``t`` (R,)."""


class _Front(NamedTuple):
    """The rows that are still on their way: number, state, time, slope there, and size of the next step."""

    rows: Tensor
    state: Tensor
    t: Tensor
    slope: Tensor
    step: Tensor

    def where(self, kept: Tensor) -> _Front:
        return _Front(*(value[kept] for value in self))


def solve(field: Field, state: Tensor, start: float, end: float, tolerance: float, parts: Sequence[int]) -> Tensor:
    """The state (B, S), float64, at time ``end``.

    Args:
        field: the right side.
        state: (B, S) float64, at time ``start``.
        start: first time.
        end: last time, on either side of ``start``.
        tolerance: of one step, absolute and relative.
        parts: widths that sum to S; the error of each part of the columns is measured by itself.

    Raises:
        EvenscoreError: the field is not finite, or so rough that steps become too small or too many.
    """
    rows = torch.arange(len(state), device=state.device)
    t = torch.full((len(state),), start, dtype=state.dtype, device=state.device)
    slope = field(state, t, rows)
    front = _Front(rows, state, t, slope, _first_step(state, slope, abs(end - start), tolerance, parts))
    solution = state.clone()
    for _ in range(MAX_ATTEMPTS):
        if not len(front.rows):
            return solution
        if not bool((front.step > SMALLEST * abs(end - start)).all()):
            break
        front, arrived = _attempt(field, front, end, LONGEST * abs(end - start), tolerance, parts)
        solution[front.rows[arrived]] = front.state[arrived]
        front = front.where(~arrived)
    if not len(front.rows):
        return solution
    raise EvenscoreError(
        f"the flow cannot be followed beyond log SNR {float(front.t[0]):.4g} at tolerance {tolerance:g}: the network is not "
        "finite or too rough there; give a larger tolerance, or train longer"
    )


def _attempt(
    field: Field, front: _Front, end: float, longest: float, tolerance: float, parts: Sequence[int]
) -> tuple[_Front, Tensor]:
    """The front after one step that a row may have to repeat, and which rows (R,) have arrived."""
    left = end - front.t
    final = front.step >= left.abs()
    signed = torch.where(final, left, front.step * left.sign())
    state, slope, error = _stages(field, front, signed)
    allowed = tolerance * (1 + torch.maximum(front.state.abs(), state.abs()))
    ratio = _size(error / allowed, parts)
    kept = ratio <= 1
    factor = (SAFETY * ratio.clamp_min(1e-10) ** -0.2).clamp(SHRINK, GROW)
    factor = torch.where(kept, factor, factor.clamp_max(1.0)).nan_to_num(SHRINK)
    moved = _Front(
        front.rows,
        torch.where(kept[:, None], state, front.state),
        torch.where(kept, front.t + signed, front.t),
        torch.where(kept[:, None], slope, front.slope),
        (signed.abs() * factor).clamp_max(longest),
    )
    return moved, kept & final


def _stages(field: Field, front: _Front, step: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """State after the step, slope there, and estimated error of the state, each (R, S)."""
    slopes = [front.slope]
    state = front.state
    for node, row in zip(NODES, STAGES, strict=True):
        state = front.state + step[:, None] * _combine(row, slopes)
        slopes.append(field(state, front.t + node * step, front.rows))
    return state, slopes[-1], step[:, None] * _combine(ERROR, slopes)


def _combine(weights: Sequence[float], slopes: Sequence[Tensor]) -> Tensor:
    total = torch.zeros_like(slopes[0])
    for weight, slope in zip(weights, slopes, strict=True):
        if weight:
            total = total + weight * slope
    return total


def _size(values: Tensor, parts: Sequence[int]) -> Tensor:
    """(R,) largest root mean square over the parts of the columns; not-a-number stays so."""
    means = [part.square().mean(1) for part in torch.split(values, list(parts), dim=1)]
    return torch.stack(means).amax(0).sqrt()


def _first_step(state: Tensor, slope: Tensor, span: float, tolerance: float, parts: Sequence[int]) -> Tensor:
    """(B,) steps in which the state changes by about a hundredth (Hairer, Norsett & Wanner 1993, section II.4)."""
    allowed = tolerance * (1 + state.abs())
    size, speed = _size((1 + state.abs()) / allowed, parts), _size(slope / allowed, parts)
    return (0.01 * size / speed.clamp_min(1e-12)).clamp_max(span * LONGEST)
