"""The forward kernel is a step of the process, and the reverse kernel is Bayes' rule for it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from evenscore.denoisers.oracle import GaussianMixture
from evenscore.kernel import forward_kernel, forward_std, fresh_share, level, reverse_kernel
from evenscore.prediction import Prediction
from evenscore.process import PROCESSES, Process
from evenscore.solvers import DDIM, Ancestral

EVERY = pytest.mark.parametrize("process", [cls() for cls in PROCESSES.values()], ids=list(PROCESSES))
T, S = torch.tensor([0.5, 0.3], dtype=torch.float64)
ONE = torch.ones(1, 1, dtype=torch.float64)


def point(process: Process, x_t: Tensor) -> Prediction:
    """The exact prediction at T for data that are the point 0.7."""
    clean = GaussianMixture.isotropic(process, torch.tensor([[0.7]]), [1e-9], [0])
    return clean.predict(x_t, T.expand(len(x_t)), torch.zeros(len(x_t), dtype=torch.int64))


@EVERY
def test_the_forward_kernel_carries_the_law_at_one_time_to_that_at_another(process: Process) -> None:
    step = forward_kernel(process.alpha(S) * ONE, level(process, T), level(process, S))
    torch.testing.assert_close(step.mean, process.alpha(T) * ONE)
    slope = float(process.alpha(T) / process.alpha(S))
    assert (slope * float(process.sigma(S))) ** 2 + step.std**2 == pytest.approx(float(process.sigma(T)) ** 2)


@EVERY
def test_the_reverse_kernel_is_bayes_rule_for_the_forward_one(process: Process) -> None:
    x_t = torch.tensor([[0.4]], dtype=torch.float64)
    before, after = level(process, T), level(process, S)
    found = reverse_kernel(point(process, x_t), before, after)
    step = forward_kernel(ONE, before, after)
    precision = 1 / after.sigma**2 + (step.mean / step.std) ** 2
    mean = (0.7 * after.alpha / after.sigma**2 + step.mean * x_t / step.std**2) / precision
    torch.testing.assert_close(found.mean, mean)
    assert found.std**2 == pytest.approx(1 / float(precision))


@EVERY
@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_every_share_of_the_noise_keeps_the_law_given_the_clean_sample(process: Process, eta: float) -> None:
    before, after = level(process, T), level(process, S)
    x_t = before.alpha * 0.7 + before.sigma * torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    law = reverse_kernel(point(process, x_t), before, after, eta)
    assert float(law.mean[0]) == pytest.approx(after.alpha * 0.7)
    assert float(law.mean[1] - law.mean[0]) ** 2 + law.std**2 == pytest.approx(after.sigma**2)
    assert (law.std == 0) is (eta == 0)


@EVERY
def test_the_chains_step_as_their_papers_write_it(process: Process) -> None:
    """Ho et al. 2020, eq. 7, in x_t and x0 instead of eps and x0."""
    x_t, z = torch.tensor([[0.4], [-1.0]], dtype=torch.float64), torch.tensor([[0.5], [2.0]], dtype=torch.float64)
    clean = GaussianMixture.isotropic(process, torch.tensor([[0.7]]), [0.4], [0])
    y = torch.zeros(2, dtype=torch.int64)
    share = 1 - torch.exp(process.log_snr(T) - process.log_snr(S))
    kept = process.alpha(T) * process.sigma(S) ** 2 / (process.alpha(S) * process.sigma(T) ** 2)
    mean = kept * x_t + process.alpha(S) * share * clean.predict(x_t, T.expand(2), y).x0
    for solver, sigma in (
        (Ancestral(), process.sigma(S)),
        (DDIM(eta=1.0), process.sigma(S)),
        (Ancestral("forward"), process.sigma(T)),
    ):
        found = solver.step(clean, x_t, T, S, y, (), z).x
        torch.testing.assert_close(found, mean + sigma * share.sqrt() * z, rtol=1e-9, atol=1e-9)


def test_the_share_of_fresh_noise_is_exact_for_small_steps() -> None:
    process = PROCESSES["ou"]()
    before, after = level(process, T), level(process, T - 1e-13)
    h = 2 * 5.0 * (before.t - after.t)
    assert fresh_share(before, after) == pytest.approx(h / float(process.sigma(T)) ** 2, rel=1e-2)
    assert forward_std(before, after) == pytest.approx(math.sqrt(h), rel=1e-2)
    assert fresh_share(before, before) == 0
