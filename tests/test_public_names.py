"""The names of ``import evenscore``: all resolve, all are listed, and a log-density of a run takes three of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import evenscore
from evenscore.comparison import Budget
from evenscore.data import Dataset
from evenscore.likelihood import encode, log_prob


def test_every_public_name_resolves_and_is_listed() -> None:
    assert set(evenscore.__all__) == {*evenscore._HOME, "__version__"}
    assert all(getattr(evenscore, name) is not None for name in evenscore.__all__)
    assert evenscore.log_prob is log_prob
    assert evenscore.encode is encode
    with pytest.raises(AttributeError, match="no attribute 'log_probability'"):
        evenscore.log_probability  # noqa: B018


def test_folders_may_be_named_in_text(
    trained: Path, digits: Dataset, quick: Callable[..., evenscore.TrainConfig], tmp_path: Path
) -> None:
    assert [p.event for p in evenscore.train(digits, str(tmp_path / "run"), quick(steps=1))][-1] == "done"
    assert evenscore.Run.open(str(trained)) == evenscore.Run.open(trained)
    first = next(iter(evenscore.balance(digits, str(tmp_path / "out"), evenscore.BalanceConfig(run=str(trained)))))
    assert first.name == "plan"
    config = evenscore.ComparisonConfig(Budget(steps=1), seeds=1)
    assert next(iter(evenscore.compare(digits, ["cbdm"], str(tmp_path / "table"), config))).name == "plan"
    with pytest.raises(evenscore.EvenscoreError, match="neither a folder nor an"):
        evenscore.load(trained / "config.yaml")


def test_a_run_says_how_likely_its_samples_are(trained: Path, digits: Dataset) -> None:
    run = evenscore.Run.open(trained)
    x, y = digits.tensor([0, 1]), torch.from_numpy(digits.labels[:2])
    how = evenscore.Likelihood(tolerance=1e-2)
    nats = evenscore.log_prob(run.denoiser(), x, y, how=how)
    alone = evenscore.log_prob(run.denoiser(), x[1:], y[1:], how=how, indices=[1])
    torch.testing.assert_close(alone, nats[1:], rtol=1e-5, atol=1e-3)
    assert bool(evenscore.log_prob(run.denoiser(), 5 * x, y, how=how).lt(nats).all())
