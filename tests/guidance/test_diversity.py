"""Set diversity: what it moves by hand, what it leaves alone, and sets that do not depend on their batch."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from evenscore.denoisers.oracle import GaussianMixture
from evenscore.errors import UsageError
from evenscore.guidance import SetDiversity
from evenscore.guidance.diversity import apart, schedule
from evenscore.process import VP
from evenscore.random import SampleNoise
from evenscore.solvers import DDIM, GRIDS, integrate

SHARES = (0.9, 0.08, 0.02)
EXPECTED = sum(1 - (1 - p) ** 5 for p in SHARES)


def three_modes() -> GaussianMixture:
    angles = torch.tensor([0.0, 2 * math.pi / 3, 4 * math.pi / 3])
    means = 2 / math.sqrt(3) * torch.stack([angles.cos(), angles.sin()], 1)
    return GaussianMixture.isotropic(VP(), means, [0.2] * 3, [0, 0, 0], weights=SHARES)


def batch(n: int) -> tuple[Tensor, Tensor, Tensor]:
    x_t = torch.randn(n, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x_t, torch.full((n,), 0.5, dtype=torch.float64), torch.zeros(n, dtype=torch.int64)


def test_five_independent_draws_cover_1437_modes() -> None:
    assert abs(EXPECTED - 1.437) < 5e-4


def test_the_push_is_away_from_the_nearest_of_the_set_and_label() -> None:
    x0 = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.1, 0.0], [0.0, 3.0], [0.2, 0.0], [0.2, 0.0]])
    sets = torch.tensor([0, 0, 1, 0, -1, -1])
    y = torch.zeros(6, dtype=torch.int64)
    expected = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 3.0], [0.0, 0.0], [0.0, 0.0]])
    assert torch.equal(apart(x0, y, sets, None), expected)
    near = apart(x0, y, sets, 1.5 / math.sqrt(2))
    assert torch.equal(near[3], torch.zeros(2)), "3 away is beyond the limit"
    assert torch.equal(near[:2], expected[:2])
    assert torch.equal(apart(x0, torch.tensor([0, 1, 0, 1, 0, 0]), sets, None)[0], torch.zeros(2)), "another label"


def test_the_law_by_hand() -> None:
    oracle = three_modes()
    x_t, t, y = batch(2)
    plain = oracle.predict(x_t, t, y)
    found = SetDiversity(oracle, torch.zeros(2, dtype=torch.int64), 3.0).predict(x_t, t, y)
    gap = plain.x0[0] - plain.x0[1]
    torch.testing.assert_close(found.x0 - plain.x0, 3.0 * 0.5 * torch.stack([gap, -gap]), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(found.alpha * found.x0 + found.sigma * found.eps, x_t, rtol=1e-9, atol=1e-9)
    t = torch.tensor([0.001, 0.3, 1.0], dtype=torch.float64)
    torch.testing.assert_close(schedule(VP().log_snr(t)), t, rtol=1e-6, atol=1e-9)


def test_strength_zero_and_what_lies_beyond_are_the_base_bit_for_bit() -> None:
    oracle, sets = three_modes(), torch.zeros(4, dtype=torch.int64)
    x_t, t, y = batch(4)
    last = torch.full_like(t, VP.t_min)
    level = float(VP().log_snr(t[:1]))
    for guided, time in (
        (SetDiversity(oracle, sets, 0.0), t),
        (SetDiversity(oracle, sets, 5.0), last),
        (SetDiversity(oracle, sets, 5.0, until=level - 0.1), t),
        (SetDiversity(oracle, torch.arange(4), 5.0), t),
    ):
        found, plain = guided.predict(x_t, time, y), oracle.predict(x_t, time, y)
        assert torch.equal(found.x0, plain.x0)
        assert torch.equal(found.eps, plain.eps)
    moved = SetDiversity(oracle, sets, 5.0, until=level + 0.1).predict(x_t, t, y)
    assert not torch.equal(moved.x0, oracle.predict(x_t, t, y).x0)


def test_what_a_measurement_fixes_does_not_move() -> None:
    oracle = three_modes()
    x_t, t, y = batch(4)
    plain = oracle.predict(x_t, t, y)
    guided = SetDiversity(oracle, torch.zeros(4, dtype=torch.int64), 5.0, free=torch.tensor([1.0, 0.0]))
    found = guided.predict(x_t, t, y)
    assert torch.equal(found.x0[:, 1], plain.x0[:, 1])
    assert bool((found.x0[:, 0] != plain.x0[:, 0]).all())


def sample(sets: Tensor, eta: float, indices: range, until: float | None = 1.0) -> Tensor:
    oracle, noise = three_modes(), SampleNoise(5, indices)
    guided = SetDiversity(oracle, sets, eta, 0.6, until)
    x = noise((2,)).double()
    for step in integrate(
        guided, DDIM(1.0), x, GRIDS["log-snr"](VP(), 60), torch.zeros(len(x), dtype=torch.int64), noise
    ):
        x = step.x
    return x


def test_a_set_is_the_same_alone_and_in_any_batch() -> None:
    sets = torch.arange(30) // 5
    whole = sample(sets, 20.0, range(30))
    for start in (0, 10, 25):
        alone = sample(sets[start : start + 5], 20.0, range(start, start + 5))
        torch.testing.assert_close(alone, whole[start : start + 5], rtol=0, atol=1e-9)


def test_a_guided_set_covers_at_least_one_more_mode() -> None:
    sets = torch.arange(300) // 5
    oracle = three_modes()
    covered = {}
    for eta in (0.0, 28.0):
        nearest = torch.cdist(sample(sets, eta, range(300), 1.5), oracle.means).argmin(1).reshape(60, 5)
        covered[eta] = float(torch.stack([(nearest == k).any(1) for k in range(3)], 1).sum(1).double().mean())
    assert abs(covered[0.0] - EXPECTED) < 0.25
    assert covered[28.0] > EXPECTED + 0.8


def test_settings_without_meaning_are_refused() -> None:
    oracle, sets = three_modes(), torch.zeros(2, dtype=torch.int64)
    for eta in (-1.0, math.nan):
        with pytest.raises(UsageError, match="eta must be a number from 0"):
            SetDiversity(oracle, sets, eta)
    with pytest.raises(UsageError, match="distance must be at least 0"):
        SetDiversity(oracle, sets, 1.0, -0.5)
    with pytest.raises(UsageError, match="a batch of 3 rows was given for 2 set numbers: give one for each"):
        SetDiversity(oracle, sets, 1.0).predict(*batch(3))
