"""Re-weighting by class: the two formulas by hand, mean 1, and strength 0 equal to plain denoising."""

from __future__ import annotations

import pytest
import torch

from evenscore.denoisers.base import Denoiser
from evenscore.labels import LabelDistribution
from evenscore.objectives import Denoising, Noised, Reweighting


@pytest.mark.parametrize("scheme", ["inverse", "effective"])
@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_weights_average_to_one_over_the_training_samples(
    labels: LabelDistribution, scheme: str, strength: float
) -> None:
    weights = Reweighting(scheme, strength).class_weights(labels)
    total = sum(n * float(w) for n, w in zip(labels.counts, weights, strict=True))
    assert total / labels.total == pytest.approx(1, abs=1e-12)
    assert bool((weights.diff() >= 0).all()), "rarer classes weigh at least as much"


def test_weights_by_hand() -> None:
    labels = LabelDistribution((4, 1))
    inverse = Reweighting("inverse").class_weights(labels)
    assert inverse.tolist() == pytest.approx([0.625, 2.5])  # 1/4 and 1 over their mean (4/4 + 1)/5
    half = Reweighting("inverse", strength=0.5).class_weights(labels)
    assert half.tolist() == pytest.approx([0.5 / 0.6, 1 / 0.6])
    effective = Reweighting("effective", effective_beta=0.5).class_weights(labels)
    one, four = 1.0, 0.5 / (1 - 0.5**4)
    mean = (4 * four + one) / 5
    assert effective.tolist() == pytest.approx([four / mean, one / mean])


def test_an_empty_class_does_no_harm() -> None:
    weights = Reweighting("effective").class_weights(LabelDistribution((3, 0, 2)))
    assert bool(weights.isfinite().all())


@pytest.mark.parametrize("weighting", ["edm", "simple", "min-snr"])
def test_each_sample_is_weighted_by_its_true_class(
    affine: Denoiser, batch: Noised, labels: LabelDistribution, weighting: str
) -> None:
    objective = Reweighting(weighting=weighting)
    loss = objective(affine, batch, labels, torch.Generator())["denoising"]
    plain = Denoising(weighting)(affine, batch, labels, torch.Generator())["denoising"]
    torch.testing.assert_close(loss, plain * objective.class_weights(labels)[batch.y])


@pytest.mark.parametrize("scheme", ["inverse", "effective"])
def test_strength_0_is_plain_denoising_exactly(
    affine: Denoiser, batch: Noised, labels: LabelDistribution, scheme: str
) -> None:
    loss = Reweighting(scheme, strength=0.0)(affine, batch, labels, torch.Generator())["denoising"]
    plain = Denoising()(affine, batch, labels, torch.Generator())["denoising"]
    assert torch.equal(loss.float(), plain.float())
