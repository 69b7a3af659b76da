"""Count alignment: partial pooling by hand, and labels dropped by count."""

from __future__ import annotations

import math

import pytest
import torch

from evenscore.configuration import TrainConfig
from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError
from evenscore.labels import LabelDistribution
from evenscore.objectives import CountAlignment, Noised, drop_labels, noised
from evenscore.objectives.time_weight import TIME_WEIGHTS


def seeded(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("time_weight", TIME_WEIGHTS)
def test_the_pull_by_hand(affine: Denoiser, batch: Noised, labels: LabelDistribution, time_weight: str) -> None:
    pull = CountAlignment(kappa=3.0, time_weight=time_weight, rows=1.0)(affine, batch, labels, seeded())["pull"]
    for i in range(len(batch.y)):
        x, t = batch.x_t[i : i + 1], batch.t[i : i + 1]
        h, h0 = (affine.predict(x, t, torch.tensor([k])).eps.detach() for k in (int(batch.y[i]), 4))
        weight = 3 / labels.counts[int(batch.y[i])] * float(TIME_WEIGHTS[time_weight](affine.process.log_snr(t)))
        expected = weight * float((h - h0).square().mean()) * float(batch.kept[i])
        assert float(pull[i].detach()) == pytest.approx(expected, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("y", range(4))
def test_its_minimiser_is_partial_pooling(affine: Denoiser, batch: Noised, labels: LabelDistribution, y: int) -> None:
    """With the noise as the best prediction, no gradient is left at (n h* + kappa u h0) / (n + kappa u)."""
    kappa, n = 3.0, labels.counts[y]
    own = torch.full_like(batch.y, y)
    h0 = affine.predict(batch.x_t, batch.t, torch.full_like(own, 4)).eps.detach()
    share = kappa * TIME_WEIGHTS["vanishing"](affine.process.log_snr(batch.t))[:, None]
    pooled = ((n * batch.eps + share * h0) / (n + share)).requires_grad_()
    gap = (pooled - h0).square().mean(1)
    ours = CountAlignment(kappa, rows=1.0, weighting="simple")
    mine = noised(affine.process, batch.x0, own, own, batch.t, batch.eps)
    weight = ours.pull().weights(affine, mine, labels)
    ((pooled - batch.eps).square().mean(1) + weight * gap).sum().backward()  # type: ignore[no-untyped-call]
    assert pooled.grad is not None
    assert float(pooled.grad.abs().max()) < 1e-12


def test_the_prediction_without_a_label_is_not_moved(
    affine: Denoiser, batch: Noised, labels: LabelDistribution
) -> None:
    for rows in (0.5, 1.0):
        pull = CountAlignment(rows=rows)(affine, batch, labels, seeded())["pull"]
        (gradient,) = torch.autograd.grad(pull.sum(), affine.get_parameter("bias"))
        assert float(gradient[4].abs().max()) == 0
        assert float(gradient[:4].abs().max()) > 0


def test_labels_are_dropped_by_count(labels: LabelDistribution) -> None:
    assert CountAlignment().label_dropout(0.1, labels) == 0.1
    rates = CountAlignment(dropout_k0=5.0).label_dropout(0.1, labels)
    assert isinstance(rates, torch.Tensor)
    assert rates.tolist() == pytest.approx([1 - 0.9 * n / (n + 5) for n in labels.counts])
    n = 20_000
    for k, rate in enumerate(rates.tolist()):
        dropped = drop_labels(torch.full((n,), k), 4, rates, seeded(k)) == 4
        assert float(dropped.double().mean()) == pytest.approx(rate, abs=4 * math.sqrt(0.25 / n))


def test_a_run_that_drops_no_labels_is_refused() -> None:
    with pytest.raises(UsageError, match="label_dropout must be above 0 with objective alignment"):
        TrainConfig(steps=1, objective=CountAlignment(), label_dropout=0.0)
    for wrong in ({"kappa": -1.0}, {"dropout_k0": -1.0}):
        with pytest.raises(UsageError, match="must be at least 0"):
            CountAlignment(**wrong)
