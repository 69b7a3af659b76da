"""Codes of levels: exact inverses, normal cuts, and never a level that was not there."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from evenscore.tables.levels import Bits, Cuts, LevelCode, OneHot

RNG = np.random.default_rng(0)
PLACES = RNG.choice(5, 4000, p=[0.6, 0.2, 0.1, 0.08, 0.02])
ORDER = (2, 0, 4, 1, 3)
CODES: list[LevelCode] = [Cuts.fit(PLACES, ORDER), OneHot(5), Bits(ORDER)]


@pytest.mark.parametrize("code", CODES, ids=lambda code: type(code).__name__)
@pytest.mark.parametrize("spread", [True, False])
def test_levels_come_back_and_no_other_level_is_made(code: LevelCode, spread: bool) -> None:
    z = code.encode(PLACES, RNG.random(len(PLACES)) if spread else None)
    assert z.shape == (len(PLACES), code.width)
    np.testing.assert_array_equal(code.decode(z), PLACES)
    assert set(code.decode(10 * RNG.normal(size=(1000, code.width))).tolist()) <= set(range(5))


def test_cuts_are_normal_and_keep_frequencies() -> None:
    code = Cuts.fit(PLACES, ORDER)
    z = code.encode(PLACES, RNG.random(len(PLACES)))[:, 0]
    assert scipy.stats.kstest(z, "norm").statistic < 0.03
    drawn = np.bincount(code.decode(RNG.normal(size=(200_000, 1))), minlength=5) / 200_000
    np.testing.assert_allclose(drawn, np.bincount(PLACES) / len(PLACES), atol=0.004)


def test_bits_are_few() -> None:
    assert Bits(tuple(range(1000))).width == 10
    assert Bits((0,)).width == 1
