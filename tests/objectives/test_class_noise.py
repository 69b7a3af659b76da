"""Noise by class frequency: where rows are noised, and that equal counts or shift 0 change nothing."""

from __future__ import annotations

import math

import pytest
import torch

from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError
from evenscore.labels import LabelDistribution
from evenscore.objectives import ClassNoise, Denoising, Noised
from evenscore.process import OU, VE, VP, Process, RectifiedFlow


def draws() -> torch.Generator:
    return torch.Generator().manual_seed(5)


@pytest.mark.parametrize(("shift", "counts"), [(0.0, (50, 20, 5, 1)), (0.3, (7, 7, 7, 7))])
def test_shift_0_and_equal_counts_are_plain_denoising_bit_for_bit(
    affine: Denoiser, batch: Noised, shift: float, counts: tuple[int, ...]
) -> None:
    labels = LabelDistribution(counts)
    terms = ClassNoise(shift)(affine, batch, labels, draws())
    assert terms.keys() == {"denoising"}
    assert torch.equal(terms["denoising"], Denoising()(affine, batch, labels, draws())["denoising"])


@pytest.mark.parametrize("process", [VP(), VE(), OU(), RectifiedFlow()])
def test_the_noise_level_is_multiplied_by_a_power_of_the_count(
    process: Process, batch: Noised, labels: LabelDistribution
) -> None:
    moved = ClassNoise(0.2).times(process, batch, labels)
    for i, y in enumerate(batch.y.tolist()):
        before, after = (float(process.sigma(t[i]) / process.alpha(t[i])) for t in (batch.t, moved))
        top = float(process.sigma(torch.tensor(process.t_max)) / process.alpha(torch.tensor(process.t_max)))
        assert after == pytest.approx(min(before * (50 / labels.counts[y]) ** 0.2, top), rel=1e-4)
        if y == 0:
            assert float(moved[i]) == float(batch.t[i]), "the largest class is noised as ever"


def test_a_row_is_noised_anew_with_its_own_noise(affine: Denoiser, batch: Noised, labels: LabelDistribution) -> None:
    objective = ClassNoise(0.2)
    t = objective.times(affine.process, batch, labels)
    anew = Noised(batch.x0, batch.y, batch.y_in, t, batch.eps, affine.process.perturb(batch.x0, t, batch.eps))
    found = objective(affine, batch, labels, draws())["denoising"]
    assert torch.equal(found, Denoising()(affine, anew, labels, draws())["denoising"])


def test_a_class_without_samples_is_no_error(batch: Noised) -> None:
    moved = ClassNoise(1.0).times(VP(), batch, LabelDistribution((50, 0, 5, 1)))
    assert bool(torch.isfinite(moved).all())
    assert float(moved.max()) <= VP.t_max


@pytest.mark.parametrize("shift", [-0.1, 1.5, math.inf])
def test_a_shift_out_of_range_is_refused(shift: float) -> None:
    with pytest.raises(UsageError, match="shift must be between 0 and 1"):
        ClassNoise(shift)
