"""The Runge-Kutta method against solutions in closed form."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from evenscore.errors import EvenscoreError
from evenscore.likelihood.dormand_prince import ERROR, FOURTH, NODES, STAGES, solve


def turning(state: Tensor, t: Tensor, rows: Tensor) -> Tensor:
    """``x' = x cos(w t)`` with another rate w in each row; the solution is ``x(0) exp(sin(w t) / w)``."""
    return state * torch.cos(rate(rows) * t)[:, None]


def rate(rows: Tensor) -> Tensor:
    return (1 + rows).double()


def test_the_coefficients_are_consistent() -> None:
    assert [sum(row) for row in STAGES] == pytest.approx(list(NODES))
    assert sum(FOURTH) == pytest.approx(1)
    assert sum(ERROR) == pytest.approx(0, abs=1e-15)
    for power in range(1, 5):
        moments = [sum(b * c**power for b, c in zip(w, (0, *NODES), strict=True)) for w in ((*STAGES[-1], 0), FOURTH)]
        assert moments[0] == pytest.approx(1 / (power + 1))
        if power < 4:
            assert moments[1] == pytest.approx(1 / (power + 1))


@pytest.mark.parametrize("tolerance", [1e-4, 1e-7, 1e-10])
@pytest.mark.parametrize("ends", [(0.0, 5.0), (5.0, 0.0)])
def test_every_row_reaches_its_solution_within_the_tolerance(tolerance: float, ends: tuple[float, float]) -> None:
    state = torch.ones(6, 2, dtype=torch.float64) * torch.tensor([1.0, -3.0])
    end = solve(turning, state, *ends, tolerance, (2,))
    w = rate(torch.arange(6))
    true = state * torch.exp((torch.sin(w * ends[1]) - torch.sin(w * ends[0])) / w)[:, None]
    assert float((end - true).abs().max()) < 50 * tolerance


def test_the_order_is_five() -> None:
    """At the longest step throughout (a loose tolerance), a longer interval means longer steps."""
    errors = []
    for span in (2.0, 4.0):
        end = solve(lambda x, t, _: -x, torch.ones(1, 1, dtype=torch.float64), 0.0, span, 0.1, (1,))
        errors.append(abs(float(end) * math.exp(span) - 1) / span)
    assert 4.7 < math.log2(errors[1] / errors[0]) < 5.5


def test_a_row_does_not_depend_on_the_rows_beside_it() -> None:
    state = torch.linspace(0.5, 2, 5, dtype=torch.float64)[:, None]
    together = solve(turning, state, 0.0, 4.0, 1e-5, (1,))
    for i in range(5):
        alone = solve(lambda x, t, _, i=i: turning(x, t, torch.tensor([i])), state[i : i + 1], 0.0, 4.0, 1e-5, (1,))  # type: ignore[misc]
        assert torch.equal(alone, together[i : i + 1])


def test_each_part_has_an_error_of_its_own() -> None:
    """A hundred columns that stand still do not hide the error of one that moves."""

    def field(state: Tensor, t: Tensor, rows: Tensor) -> Tensor:
        slope = torch.zeros_like(state)
        slope[:, -1] = torch.cos(40 * t)
        return slope

    end = solve(field, torch.zeros(1, 101, dtype=torch.float64), 0.0, 3.0, 1e-6, (100, 1))
    assert float(end[0, -1]) == pytest.approx(math.sin(120) / 40, abs=1e-5)


def test_no_rows_are_no_work() -> None:
    assert solve(turning, torch.zeros(0, 2, dtype=torch.float64), 0.0, 1.0, 1e-3, (2,)).shape == (0, 2)


@pytest.mark.parametrize(
    "field",
    [
        lambda x, t, _: torch.full_like(x, math.nan),
        lambda x, t, _: torch.where(t[:, None] > 0.5, math.inf, x),
        lambda x, t, _: x.square() * 3,
    ],
    ids=["not a number", "infinite", "blows up"],
)
def test_a_field_that_cannot_be_followed_is_said(field: object) -> None:
    with pytest.raises(EvenscoreError, match=r"the flow cannot be followed beyond log SNR 0[.\d]* at tolerance 1e-05"):
        solve(field, torch.ones(2, 1, dtype=torch.float64), 0.0, 1.0, 1e-5, (1,))  # type: ignore[arg-type]
