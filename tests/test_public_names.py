"""The names of ``import evenscore``: all resolve, all are listed, and a log-density of a run takes three of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import evenscore
from evenscore.data import Dataset
from evenscore.likelihood import encode, log_prob


def test_every_public_name_resolves_and_is_listed() -> None:
    assert set(evenscore.__all__) == {*evenscore._HOME, "__version__"}
    assert all(getattr(evenscore, name) is not None for name in evenscore.__all__)
    assert evenscore.log_prob is log_prob
    assert evenscore.encode is encode
    with pytest.raises(AttributeError, match="no attribute 'log_probability'"):
        evenscore.log_probability  # noqa: B018


def test_a_run_says_how_likely_its_samples_are(trained: Path, digits: Dataset) -> None:
    run = evenscore.Run.open(trained)
    x, y = digits.tensor([0, 1]), torch.from_numpy(digits.labels[:2])
    how = evenscore.Likelihood(tolerance=1e-2)
    nats = evenscore.log_prob(run.denoiser(), x, y, how=how)
    alone = evenscore.log_prob(run.denoiser(), x[1:], y[1:], how=how, indices=[1])
    torch.testing.assert_close(alone, nats[1:], rtol=1e-5, atol=1e-3)
    assert bool(evenscore.log_prob(run.denoiser(), 5 * x, y, how=how).lt(nats).all())
