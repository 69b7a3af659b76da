"""Separation with a margin: its value by hand, where it vanishes, what it moves, and the divergence behind it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError
from evenscore.kernel import level, reverse_kernel
from evenscore.labels import LabelDistribution
from evenscore.objectives import Denoising, DiffROP, Noised
from evenscore.objectives.diffrop import other_labels, reverse_divergence
from evenscore.objectives.time_weight import TIME_WEIGHTS, reference_time
from evenscore.process import OU, VE, VP, RectifiedFlow


def draws(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_at_strength_0_it_is_plain_denoising_bit_for_bit(
    affine: Denoiser, batch: Noised, labels: LabelDistribution
) -> None:
    terms = DiffROP(strength=0.0)(affine, batch, labels, draws())
    assert terms.keys() == {"denoising"}
    assert torch.equal(terms["denoising"], Denoising()(affine, batch, labels, draws())["denoising"])


def test_the_loss_by_hand(affine: Denoiser, batch: Noised, labels: LabelDistribution) -> None:
    objective = DiffROP(strength=0.7, margin=8.0)
    found = objective(affine, batch, labels, draws())["separation"].detach()
    ends = [float(VP().log_snr(torch.tensor(t, dtype=torch.float64))) for t in (VP.t_min, 1.0)]
    m = 2 * 8.0 / (3 * (ends[0] - ends[1]))
    other = other_labels(batch.y, labels, "uniform", draws())
    assert other is not None
    for i in range(len(batch.y)):
        x, t = batch.x_t[i : i + 1], batch.t[i : i + 1]
        h, apart = (affine.predict(x, t, label).eps.detach() for label in (batch.y_in[i : i + 1], other[i : i + 1]))
        u = 1 - float(reference_time(VP().log_snr(t)))
        kept = float(batch.y_in[i] == batch.y[i])
        assert float(found[i]) == pytest.approx(
            0.7 * u * kept * max(0.0, m - float((h - apart).square().mean())), rel=1e-9, abs=1e-15
        )
    assert 0 < int((found[batch.kept] > 0).sum()) < int(batch.kept.sum()), "some are apart already"


def test_nothing_is_left_of_it_beyond_the_margin(affine: Denoiser, batch: Noised, labels: LabelDistribution) -> None:
    terms = DiffROP(margin=1e-9)(affine, batch, labels, draws())
    assert terms["separation"].detach().abs().max() == 0
    gradients = torch.autograd.grad(terms["separation"].sum(), list(affine.parameters()))
    assert all(float(gradient.abs().max()) == 0 for gradient in gradients)


@pytest.mark.parametrize(
    ("moves", "own", "other"), [("both", True, True), ("own", True, False), ("other", False, True)]
)
def test_it_moves_what_it_says(
    affine: Denoiser, batch: Noised, labels: LabelDistribution, moves: str, own: bool, other: bool
) -> None:
    single = replace(batch, y=torch.zeros_like(batch.y), y_in=torch.zeros_like(batch.y))
    terms = DiffROP(margin=1e4, moves=moves)(affine, single, labels, draws())
    (gradient,) = torch.autograd.grad(terms["separation"].sum(), affine.get_parameter("bias"))
    moved = gradient.abs().amax(1) > 0
    assert bool(moved[0]) is own
    assert bool(moved[1:4].any()) is other
    assert not bool(moved[4]), "the prediction without a label is left alone"


@pytest.mark.parametrize("process", [VP(), VE(), OU(), RectifiedFlow()])
def test_the_divergence_is_that_of_the_two_reverse_kernels(process: Any, affine: Denoiser, batch: Noised) -> None:
    before, after = (level(process, torch.tensor(t, dtype=torch.float64)) for t in (0.6, 0.45))
    affine.process = process
    t = torch.full_like(batch.t, 0.6)
    one, two = (affine.predict(batch.x_t, t, torch.full_like(batch.y, k)) for k in (0, 1))
    first, second = (reverse_kernel(prediction, before, after) for prediction in (one, two))
    assert first.std == second.std
    exact = torch.distributions.kl_divergence(
        torch.distributions.Normal(first.mean, first.std), torch.distributions.Normal(second.mean, second.std)
    ).sum(1)
    gap = (one.eps - two.eps).square().sum(1)
    torch.testing.assert_close(reverse_divergence(before.log_snr, after.log_snr, gap), exact, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("size", [3, 3072])
def test_the_margin_is_a_divergence_over_the_whole_path(size: int) -> None:
    """At a steady distance of m per element, small steps add up to the margin in nats."""
    process, objective = VP(), DiffROP(margin=7.0)
    m = objective.margin_per_element(process, size)
    log_snr = process.log_snr(torch.linspace(1, VP.t_min, 40_001, dtype=torch.float64))
    steps = torch.expm1(log_snr.diff()) / 2 * m * size
    assert float(steps.sum()) == pytest.approx(7.0, rel=0.01)


def test_the_other_label_is_another_class_that_has_samples(batch: Noised) -> None:
    y = torch.arange(4).repeat(500)
    drawn = other_labels(y, LabelDistribution((5, 0, 3, 2)), "train", draws())
    assert drawn is not None
    assert not bool((drawn == y).any())
    assert not bool((drawn == 1).any())
    share = torch.bincount(drawn[y == 0], minlength=4).double() / 500
    assert share.tolist() == pytest.approx([0, 0, 0.6, 0.4], abs=0.1)
    assert other_labels(torch.zeros(3, dtype=torch.int64), LabelDistribution((5, 0)), "uniform", draws()) is None


def test_the_weight_falls_with_noise() -> None:
    levels = torch.linspace(12, -12, 50, dtype=torch.float64)
    weight = DiffROP().level_weights(levels)["separation"]
    assert bool((weight.diff() <= 0).all())
    assert float(weight[-1]) == 0
    torch.testing.assert_close(weight, 1 - TIME_WEIGHTS["reference"](levels))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"law": "null"}, "unknown law 'null'"),
        ({"moves": "owm"}, "unknown moves 'owm': did you mean 'own'?"),
        ({"time_weight": "faling"}, "did you mean 'falling'?"),
        ({"margin": -1.0}, "margin must be at least 0"),
        ({"strength": -1.0}, "strength must be at least 0"),
    ],
)
def test_what_is_misspelt_or_out_of_range_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        DiffROP(**settings)
    assert words in str(caught.value)
