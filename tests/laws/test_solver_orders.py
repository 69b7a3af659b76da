"""Every solver attains the order it declares: deterministic ones pointwise, stochastic ones in their statistics."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

from benchmarks.instruments import carried_variance, even_levels, fine, fitted, flow_end, grid_error, level_error
from evenscore.process import PROCESSES
from evenscore.solvers import SOLVERS

CHAINS = ("langevin", "annealed-langevin")
DETERMINISTIC = [name for name, solver in SOLVERS.items() if not solver().stochastic]
STOCHASTIC = [name for name, solver in SOLVERS.items() if solver().stochastic and name not in CHAINS]
NAMES = list(PROCESSES)


@cache
def reference(name: str) -> Tensor:
    """The third-order solver at many steps; Heun and DPM-Solver++(2M) must agree."""
    process = PROCESSES[name]()
    exact = flow_end(process, fine("adaptive", 800), 800)
    for other, steps in (("heun", 800), ("dpm++2m", 1600)):
        torch.testing.assert_close(flow_end(process, fine(other, steps), steps), exact, rtol=0, atol=3e-5)
    return exact


@pytest.mark.parametrize("solver", DETERMINISTIC)
@pytest.mark.parametrize("process", NAMES)
def test_the_error_falls_with_the_declared_order(process: str, solver: str) -> None:
    exact, steps = reference(process), (32, 64, 128, 256)
    errors = [grid_error(PROCESSES[process](), solver, n, exact) for n in steps]
    assert errors[0] < 1
    assert fitted(steps, errors) == pytest.approx(SOLVERS[solver].order, abs=0.15)


@pytest.mark.parametrize("solver", STOCHASTIC)
@pytest.mark.parametrize("process", NAMES)
def test_the_variance_of_stochastic_solvers_has_the_declared_order(process: str, solver: str) -> None:
    """On one Gaussian the variance follows a recursion; its factors are read off the steps, without sampling."""
    steps = (128, 256, 512)
    errors = [grid_error(PROCESSES[process](), solver, n, None) for n in steps]
    assert errors[-1] < 0.01
    assert fitted(steps, errors) == pytest.approx(SOLVERS[solver].order, abs=0.15)


@pytest.mark.parametrize("solver", CHAINS)
@pytest.mark.parametrize("process", ["vp", "ve", "rectified-flow"])
def test_langevin_chains_settle_to_a_variance_whose_error_is_of_the_order_of_their_step(
    process: str, solver: str
) -> None:
    parts = (8, 16, 32)
    errors = [level_error(PROCESSES[process](), solver, n) for n in parts]
    assert errors[-1] < 0.05
    assert fitted(parts, errors) == pytest.approx(SOLVERS[solver].order, abs=0.15)


def test_half_the_noise_of_ddim_does_not_change_the_variance_in_the_limit() -> None:
    process = PROCESSES["vp"]()
    found, exact = carried_variance(process, SOLVERS["ddim"](eta=0.5), even_levels(process, 1000))  # type: ignore[call-arg]
    assert found == pytest.approx(exact, rel=0.01)
