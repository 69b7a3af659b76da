"""Transforms of numbers: exact inverses, normal results, slopes by difference quotients, atoms and bounds kept."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from evenscore.tables.numeric import Quantile, Standard, far_from_normal

RNG = np.random.default_rng(0)
SKEWED = np.exp(RNG.normal(size=5000))


def test_standard_has_mean_0_and_spread_1() -> None:
    z = Standard.fit(SKEWED).encode(SKEWED)
    assert abs(z.mean()) < 1e-12
    assert z.std() == pytest.approx(1)


def test_quantiles_of_a_skewed_column_are_normal() -> None:
    z = Quantile.fit(SKEWED).encode(SKEWED)
    assert scipy.stats.kstest(z, "norm").statistic < 0.01


@pytest.mark.parametrize("kind", [Standard, Quantile])
def test_what_is_encoded_is_decoded(kind: type[Standard] | type[Quantile]) -> None:
    x = SKEWED[:800]
    code = kind.fit(x)
    np.testing.assert_allclose(code.decode(code.encode(x)), x, rtol=1e-8)
    far = code.decode(np.array([-50.0, 50.0]))
    assert far.tolist() == [x.min(), x.max()]


@pytest.mark.parametrize("kind", [Standard, Quantile])
def test_slopes_are_difference_quotients(kind: type[Standard] | type[Quantile]) -> None:
    code = kind.fit(SKEWED)
    x, h = np.array([0.5, 1.0, 2.2]), 1e-7
    numeric = np.log((code.encode(x + h) - code.encode(x - h)) / (2 * h))
    np.testing.assert_allclose(code.log_slope(x), numeric, atol=1e-4)


def test_an_atom_stays_an_atom() -> None:
    x = np.where(RNG.random(2000) < 0.4, 0.0, RNG.gamma(2, size=2000))
    code = Quantile.fit(x)
    assert not code.smooth
    back = code.decode(code.encode(x, RNG.random(2000)))
    np.testing.assert_array_equal(back[x == 0], 0)
    drawn = code.decode(RNG.normal(size=20000))
    assert (drawn == 0).mean() == pytest.approx((x == 0).mean(), abs=0.015)


def test_skewed_columns_are_found_within_classes() -> None:
    labels = np.arange(5000) % 2
    assert far_from_normal(SKEWED, labels)
    shifted = RNG.normal(size=5000) + 20 * labels
    assert not far_from_normal(shifted, labels)
