"""Plain denoising and its weightings, against values written out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError
from evenscore.labels import LabelDistribution
from evenscore.objectives import Denoising, Noised, drop_labels
from evenscore.objectives.weighting import x0_weight
from evenscore.process import PROCESSES, Process


@pytest.mark.parametrize(
    ("weighting", "log_snr", "expected"),
    [
        ("simple", 0.0, 1.0),
        ("simple", math.log(8.0), 8.0),
        ("edm", 0.0, 5.0),
        ("edm", math.log(0.01), 4.01),
        ("min-snr", math.log(8.0), 5.0),
        ("min-snr", math.log(2.0), 2.0),
    ],
)
def test_weights_by_hand(weighting: str, log_snr: float, expected: float) -> None:
    assert float(x0_weight(weighting, torch.tensor(log_snr), 0.5)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("process", [kind() for kind in PROCESSES.values()], ids=list(PROCESSES))
def test_likelihood_weighting_is_g_squared_on_the_error_of_the_score(process: Process) -> None:
    t = torch.tensor([0.05, 0.4, 0.9], dtype=torch.float64)
    found = x0_weight("likelihood", process.log_snr(t), 1.0, rate=process.log_snr_rate(t))
    score_error = process.alpha(t) / process.sigma(t).square()
    torch.testing.assert_close(found, (process.diffusion(t) * score_error).square(), rtol=1e-9, atol=0)


def test_likelihood_weighting_needs_a_rate() -> None:
    with pytest.raises(UsageError, match="weighting likelihood was given no rate"):
        x0_weight("likelihood", torch.zeros(1), 1.0)


def test_a_weighting_that_is_misspelt_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown weighting 'smple': did you mean 'simple'"):
        x0_weight("smple", torch.zeros(1), 1.0)


@pytest.mark.parametrize(
    ("weighting", "cap"), [("simple", 5.0), ("edm", 5.0), ("min-snr", 5.0), ("min-snr", 0.5), ("likelihood", 5.0)]
)
def test_the_loss_by_hand(
    affine: Denoiser, batch: Noised, labels: LabelDistribution, weighting: str, cap: float
) -> None:
    (name, loss), *more = Denoising(weighting, cap)(affine, batch, labels, torch.Generator()).items()
    assert (name, more) == ("denoising", [])
    parameters: Any = affine
    w, b = parameters.weight.detach().numpy(), parameters.bias.detach().numpy()
    for i in range(len(batch.y)):
        beta = 0.1 * float(batch.t[i]) + 19.9 * float(batch.t[i]) ** 2 / 2
        alpha, sigma = math.exp(-beta / 2), math.sqrt(1 - math.exp(-beta))
        x0, eps = batch.x0[i].numpy(), batch.eps[i].numpy()
        x_t = alpha * x0 + sigma * eps
        h = np.tanh(x_t @ w + b[int(batch.y_in[i])])
        snr = alpha**2 / sigma**2
        rate = (0.1 + 19.9 * float(batch.t[i])) / sigma**2
        weight = {"simple": snr, "edm": snr + 4, "min-snr": min(snr, cap), "likelihood": rate * snr}[weighting]
        expected = weight * np.mean(((x_t - sigma * h) / alpha - x0) ** 2)
        assert float(loss[i].detach()) == pytest.approx(expected, rel=1e-9)
        if weighting == "simple":
            assert expected == pytest.approx(np.mean((h - eps) ** 2), rel=1e-9)


def test_labels_are_dropped_sample_by_sample_at_the_asked_rate() -> None:
    y = torch.arange(40_000) % 7
    kept = drop_labels(y, 7, 0.1, torch.Generator().manual_seed(0))
    dropped = (kept == 7).double()
    assert torch.equal(kept[dropped == 0], y[dropped == 0])
    assert abs(float(dropped.mean()) - 0.1) < 4 * math.sqrt(0.09 / len(y))
    pairs = float((dropped[::2] * dropped[1::2]).mean())
    assert abs(pairs - 0.01) < 4 * math.sqrt(0.01 / (len(y) / 2)), "neighbours are dropped independently"
    by_class = torch.stack([dropped[y == k].mean() for k in range(7)])
    assert float((by_class - 0.1).abs().max()) < 4 * math.sqrt(0.09 / (len(y) / 7))


@pytest.mark.parametrize(("rate", "expected"), [(0.0, [0, 1, 2]), (1.0, [3, 3, 3])])
def test_no_label_or_every_label_is_dropped_at_the_ends(rate: float, expected: list[int]) -> None:
    assert drop_labels(torch.arange(3), 3, rate, torch.Generator()).tolist() == expected
