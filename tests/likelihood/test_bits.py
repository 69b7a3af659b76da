"""Bits per dimension against code lengths that are known, and against the scale of the pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from evenscore.data.pixels import from_uint8, to_uint8
from evenscore.likelihood import BYTE_OFFSET, bits_per_dim, dequantise
from evenscore.likelihood.bits import LEVELS_PER_UNIT


def test_a_level_is_as_wide_as_in_the_pixels() -> None:
    levels = from_uint8(np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)).flatten().double()
    torch.testing.assert_close(levels.diff(), torch.full((255,), 1 / LEVELS_PER_UNIT).double(), rtol=0, atol=1e-6)
    assert math.log2(127.5) == BYTE_OFFSET


def test_the_uniform_law_over_all_bytes_costs_eight_bits() -> None:
    """Its density is 1 / (256 levels) on every value."""
    density = torch.full((3,), 5 * math.log(LEVELS_PER_UNIT / 256), dtype=torch.float64)
    torch.testing.assert_close(bits_per_dim(density, 5, BYTE_OFFSET), torch.full((3,), 8.0, dtype=torch.float64))


def test_a_density_that_is_flat_in_each_cell_costs_the_code_length() -> None:
    """Of bytes 10 and 11 with probabilities 3/4 and 1/4: Jensen's inequality is then an equality."""
    for chance in (0.75, 0.25):
        density = torch.tensor([math.log(chance * LEVELS_PER_UNIT)], dtype=torch.float64)
        assert float(bits_per_dim(density, 1, BYTE_OFFSET)) == pytest.approx(-math.log2(chance))


def test_vectors_have_no_offset() -> None:
    assert float(bits_per_dim(torch.tensor([-2 * math.log(2)]), 2, 0.0)) == pytest.approx(1)


def test_dequantised_values_fill_their_cell_and_round_back() -> None:
    images = np.arange(0, 256, dtype=np.uint8).reshape(4, 8, 8, 1)
    x = from_uint8(images)
    noisy = dequantise(x, 0, range(4))
    assert noisy.dtype == torch.float64
    assert np.array_equal(to_uint8(noisy), images)
    shift = (noisy - x.double()) * LEVELS_PER_UNIT
    assert float(shift.abs().max()) <= 0.5
    assert float(shift.std()) == pytest.approx(1 / math.sqrt(12), rel=0.1)
    assert abs(float(shift.mean())) < 0.06


def test_noise_belongs_to_its_sample() -> None:
    x = torch.zeros(3, 1, 2, 2)
    assert torch.equal(dequantise(x, 1, [4, 5, 6])[1:2], dequantise(x[:1], 1, [5]))
    assert not torch.equal(dequantise(x, 1, [4, 5, 6]), dequantise(x, 2, [4, 5, 6]))
    assert not bool(x.any())
