"""A one-step generator as a denoiser: what it predicts, what solvers make of it, and what it refuses."""

from __future__ import annotations

import pytest
import torch

from evenscore.denoisers.one_step import OneStep
from evenscore.denoisers.oracle import GaussianMixture
from evenscore.process import PROCESSES, VP, Process
from evenscore.random import SampleNoise, generator

LABELS = [0, 1, 1, 0, 2, 2]


def one_step(process: Process) -> OneStep:
    means = torch.tensor([[2.0, 0.0], [-2.0, 1.0]])
    return OneStep(GaussianMixture.isotropic(process, means, [0.5, 1.0], [0, 1]), log_snr=-1.5)


@pytest.mark.parametrize("process", [kind() for kind in PROCESSES.values()], ids=list(PROCESSES))
def test_one_evaluation_is_the_network_at_its_level(process: Process) -> None:
    model = one_step(process)
    z, y = SampleNoise(3, range(6))((2,)), torch.tensor(LABELS)
    t = process.time(torch.tensor(-1.5, dtype=torch.float64)).float()
    expected = model.network.predict(process.sigma(t) * z, t.expand(6), y).x0
    torch.testing.assert_close(model.draw(z, y), expected)


def test_at_every_time_it_predicts_the_sample_of_the_noise_it_sees() -> None:
    model, y = one_step(VP()), torch.tensor(LABELS)
    z, t = torch.randn(6, 2, generator=generator(0)), torch.linspace(0.1, 1, 6)
    found = model.predict(VP().sigma(t)[:, None] * z, t, y)
    torch.testing.assert_close(found.x0, model.draw(z, y), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.alpha * found.x0 + found.sigma * found.eps, found.x_t)


def test_the_gradient_reaches_the_latents() -> None:
    z = torch.zeros(2, 2, requires_grad=True)
    one_step(VP()).draw(z, torch.tensor([0, 1])).sum().backward()  # type: ignore[no-untyped-call]
    assert z.grad is not None
    assert bool((z.grad > 0).all())
