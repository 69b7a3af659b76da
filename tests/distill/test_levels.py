"""Noise levels and their weights: what the docstring derives, checked on a Gaussian."""

from __future__ import annotations

import pytest
import torch

from evenscore.distill.levels import LEVELS, WEIGHTS, fisher_weight, kl_weight
from evenscore.distill.settings import default_start
from evenscore.objectives.levels import draw_times
from evenscore.process import PROCESSES, VP
from evenscore.random import generator

LOG_SNR = torch.linspace(-8, 8, 9, dtype=torch.float64)


@pytest.mark.parametrize("std", [0.3, 2.0])
def test_the_kl_weight_makes_predictions_count_in_units_of_what_the_noise_leaves_open(std: float) -> None:
    rho = LOG_SNR.exp()
    open_ = (1 / (1 / std**2 + rho)).sqrt()
    torch.testing.assert_close(kl_weight(LOG_SNR, std) * rho * open_, torch.ones_like(rho))


@pytest.mark.parametrize("std", [0.3, 2.0])
def test_both_updates_move_the_mean_of_a_gaussian_alike(std: float) -> None:
    """N(b, d^2) towards N(0, d^2), with noise: KL has the gradient b / v, Fisher b / v^2, for ``v = d^2 + 1 / rho``."""
    v, shift = std**2 + 1 / LOG_SNR.exp(), 0.7
    torch.testing.assert_close(kl_weight(LOG_SNR, std) * shift / v, fisher_weight(LOG_SNR, std) * shift / v**2)
    assert set(WEIGHTS) == {"kl", "fisher"}


def test_the_published_form_has_one_level() -> None:
    t = draw_times(LEVELS["least"], 5, VP(), 0.5, generator(0))
    assert t.tolist() == pytest.approx([VP.t_min] * 5)


def test_the_default_start_has_two_and_a_half_times_as_much_noise_as_signal() -> None:
    for kind in PROCESSES.values():
        process = kind()
        t = process.time(torch.tensor(default_start(0.4), dtype=torch.float64))
        assert float(process.sigma(t) / process.alpha(t)) == pytest.approx(2.5 * 0.4)
