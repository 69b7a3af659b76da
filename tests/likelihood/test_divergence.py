"""The divergence against closed forms, and Hutchinson's estimate against the exact trace."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from evenscore.denoisers.oracle import GaussianMixture
from evenscore.errors import UsageError
from evenscore.likelihood import Likelihood, log_prob
from evenscore.likelihood.divergence import choose, divergence, probes
from evenscore.process import PROCESSES, Process

ESTIMATES = pytest.mark.parametrize("name", ["rademacher", "gaussian"])


def test_exact_is_the_trace_of_the_jacobian_row_by_row() -> None:
    matrix = torch.randn(5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.linspace(-1, 1, 15, dtype=torch.float64).reshape(3, 5).requires_grad_()
    v = x.square() @ matrix
    torch.testing.assert_close(divergence(v, x, None), 2 * x.detach() @ matrix.diagonal())


@ESTIMATES
def test_an_estimate_is_the_quadratic_form_of_its_probe(name: str) -> None:
    matrix = torch.randn(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.zeros(3, 2, 2, dtype=torch.float64, requires_grad=True)
    probe = probes(name, (2, 2), 0, range(3))
    assert probe is not None
    flat = probe.flatten(1)
    found = divergence((x.flatten(1) @ matrix).reshape(3, 2, 2), x, probe)
    torch.testing.assert_close(found, ((flat @ matrix) * flat).sum(1))


@ESTIMATES
def test_probes_are_white(name: str) -> None:
    probe = probes(name, (3,), 7, range(4000))
    assert probe is not None
    torch.testing.assert_close(probe.T @ probe / 4000, torch.eye(3, dtype=torch.float64), rtol=0, atol=0.1)
    assert (bool((probe.abs() == 1).all())) is (name == "rademacher")


@ESTIMATES
def test_a_probe_belongs_to_its_sample(name: str) -> None:
    whole, part = probes(name, (2, 3), 5, [4, 9, 2]), probes(name, (2, 3), 5, [9])
    assert whole is not None
    assert part is not None
    assert torch.equal(whole[1:2], part)
    assert not torch.equal(whole[0], whole[1])
    assert probes("exact", (2,), 0, [0]) is None


@ESTIMATES
@pytest.mark.parametrize("process", [PROCESSES[name]() for name in ("vp", "ve", "ou")], ids=lambda p: type(p).__name__)
def test_hutchinson_is_unbiased(
    laws: dict[str, Callable[[Process], GaussianMixture]], process: Process, name: str
) -> None:
    """The mean of 500 estimated log-densities lies within 3.5 standard errors of the exact one."""
    oracle = laws["mixture"](process)
    x, y = torch.tensor([[0.5, -0.8, 0.4]], dtype=torch.float64), torch.tensor([0])
    estimates = log_prob(oracle, x.expand(500, 3), y.expand(500), how=Likelihood(1e-6, name), seed=11)
    true, spread = log_prob(oracle, x, y, how=Likelihood(1e-6, "exact")), float(estimates.std())
    assert spread > 0.05
    assert abs(float(estimates.mean() - true)) < 3.5 * spread / math.sqrt(500)


def test_auto_is_exact_where_that_is_cheap() -> None:
    assert choose("auto", 16) == "exact"
    assert choose("auto", 17) == "rademacher"
    assert choose("gaussian", 2) == "gaussian"
    with pytest.raises(UsageError, match="unknown divergence 'gausian': did you mean 'gaussian'"):
        choose("gausian", 2)
