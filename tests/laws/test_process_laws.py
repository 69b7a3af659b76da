"""Identities of every noise process, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from evenscore.errors import UsageError
from evenscore.process import PROCESSES, VP, CosineVP, Process, SubVP, VEPower, check_times

EVERY = pytest.mark.parametrize("process", [cls() for cls in PROCESSES.values()], ids=list(PROCESSES))


def times(process: Process, count: int = 101, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.linspace(max(process.t_min, 1e-3), min(process.t_max, 0.999), count, dtype=dtype)


def slope(function: object, t: Tensor) -> Tensor:
    """d function / dt by autograd."""
    t = t.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(t).sum(), t)  # type: ignore[operator]
    return gradient


@pytest.mark.parametrize("name", ["vp", "vp-cosine", "ou"])
def test_variance_is_preserved(name: str) -> None:
    process = PROCESSES[name]()
    t = times(process)
    torch.testing.assert_close(process.alpha(t) ** 2 + process.sigma(t) ** 2, torch.ones_like(t), rtol=1e-12, atol=0)


@EVERY
def test_drift_is_the_derivative_of_log_alpha(process: Process) -> None:
    t = times(process)
    if not process.alpha(t).diff().any():
        assert not process.drift(t).any()
        return
    torch.testing.assert_close(process.drift(t), slope(lambda u: process.alpha(u).log(), t), rtol=1e-9, atol=1e-12)


@EVERY
def test_diffusion_follows_from_alpha_and_sigma(process: Process) -> None:
    t = times(process)
    sigma = process.sigma(t)
    expected = 2 * sigma * slope(process.sigma, t) - 2 * process.drift(t) * sigma.square()
    torch.testing.assert_close(process.diffusion(t).square(), expected, rtol=1e-9, atol=1e-12)


@EVERY
def test_log_snr_falls_and_time_inverts_it(process: Process) -> None:
    t = times(process)
    level = process.log_snr(t)
    torch.testing.assert_close(level, (process.alpha(t) / process.sigma(t)).square().log(), rtol=1e-9, atol=1e-9)
    assert bool((level.diff() < 0).all())
    torch.testing.assert_close(process.time(level), t, rtol=1e-7, atol=1e-9)


@EVERY
def test_log_snr_falls_at_its_rate(process: Process) -> None:
    t = times(process)
    torch.testing.assert_close(process.log_snr_rate(t), -slope(process.log_snr, t), rtol=1e-8, atol=1e-9)


@EVERY
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_velocity_is_the_time_derivative_of_the_path(process: Process, dtype: torch.dtype) -> None:
    t = times(process, 11)
    x0, eps = torch.randn(2, 11, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.autograd.functional.jvp(lambda u: process.perturb(x0, u, eps), t, torch.ones_like(t))[1]
    found = process.velocity(x0.to(dtype), eps.to(dtype), t.to(dtype)).double()
    exact = dtype == torch.float64
    torch.testing.assert_close(found, expected, rtol=1e-9 if exact else 1e-4, atol=1e-9 if exact else 1e-4)


@EVERY
def test_rows_of_a_batch_have_times_of_their_own(process: Process) -> None:
    t = times(process, 4)
    x0, eps = torch.randn(2, 4, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    together = process.perturb(x0, t, eps)
    apart = torch.cat([process.perturb(x0[i : i + 1], t[i : i + 1], eps[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(together, apart, rtol=0, atol=0)
    torch.testing.assert_close(process.perturb(x0[:1], t[0], eps[:1]), together[:1], rtol=0, atol=0)


@EVERY
def test_the_prior_has_the_terminal_spread_and_the_signal_is_gone(process: Process) -> None:
    end = torch.tensor(process.t_max, dtype=torch.float64)
    torch.testing.assert_close(process.prior(torch.ones(2, 3, dtype=torch.float64)), process.sigma(end).expand(2, 3))
    assert process.log_snr(end) < (-4.5 if isinstance(process, VEPower) else -7)


@EVERY
def test_every_process_states_its_smallest_time_and_little_noise_is_left_there(process: Process) -> None:
    assert any("t_min" in vars(kind) for kind in type(process).__mro__[:2])
    smallest = torch.tensor(process.t_min, dtype=torch.float64)
    assert 0 < process.sigma(smallest) <= 0.011
    assert math.isfinite(process.diffusion(smallest))
    assert math.isfinite(process.drift(smallest))


def test_sub_vp_has_the_drift_of_vp_and_the_noise_of_the_paper() -> None:
    vp, sub, t = VP(), SubVP(), times(VP())
    assert torch.equal(sub.alpha(t), vp.alpha(t))
    assert torch.equal(sub.drift(t), vp.drift(t))
    torch.testing.assert_close(sub.sigma(t), vp.sigma(t).square(), rtol=1e-12, atol=0)
    beta = 0.1 + 19.9 * t
    share = 1 - torch.exp(-2 * 0.1 * t - 19.9 * t.square())
    torch.testing.assert_close(sub.diffusion(t).square(), beta * share, rtol=1e-9, atol=1e-15)
    assert bool((sub.sigma(t) < vp.sigma(t)).all())


def test_ve_power_diffuses_by_powers_of_its_base() -> None:
    process, t = VEPower(base=25.0), times(VEPower())
    torch.testing.assert_close(process.diffusion(t), 25.0**t, rtol=1e-12, atol=0)
    expected = (25.0 ** (2 * t) - 1) / (2 * math.log(25.0))
    torch.testing.assert_close(process.sigma(t).square(), expected, rtol=1e-9, atol=0)
    with pytest.raises(UsageError, match="base is 1: give a number above 1"):
        VEPower(base=1.0)


def test_cosine_ends_at_its_log_snr() -> None:
    found = CosineVP(log_snr_min=-9.0).log_snr(torch.tensor(1.0, dtype=torch.float64))
    assert math.isclose(float(found), -9.0, rel_tol=1e-9)


def test_times_outside_the_range_are_refused() -> None:
    process = CosineVP()
    check_times(process, torch.tensor([process.t_min, process.t_max]))
    with pytest.raises(UsageError, match=r"lies outside \[0.001, 1\] of CosineVP"):
        check_times(process, torch.tensor([0.5, 1.2]))
