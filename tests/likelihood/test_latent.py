"""Interpolation: its ends, its arc, and samples between."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from evenscore.denoisers.oracle import GaussianMixture
from evenscore.denoisers.preconditioned import Preconditioned
from evenscore.likelihood import interpolate, spherical
from evenscore.process import OU, VE, VP, Process, SubVP


def test_the_arc_turns_evenly_and_keeps_its_length() -> None:
    first, second = torch.tensor([[[2.0, 0.0]]]), torch.tensor([[[0.0, 2.0]]])
    for fraction in (0.0, 0.25, 0.5, 1.0):
        angle = fraction * math.pi / 2
        expected = 2 * torch.tensor([[[math.cos(angle), math.sin(angle)]]])
        torch.testing.assert_close(spherical(first, second, fraction), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("second", [[3.0, 0.0], [-1.0, 0.0], [0.0, 0.0]], ids=["parallel", "opposite", "zero"])
def test_without_an_arc_the_line_is_taken(second: list[float]) -> None:
    first, other = torch.tensor([[1.0, 0.0]]), torch.tensor([second])
    torch.testing.assert_close(spherical(first, other, 0.25), 0.75 * first + 0.25 * other, rtol=0, atol=1e-5)


def test_each_pair_has_its_own_arc() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(4, 3, generator=generator), torch.randn(4, 3, generator=generator)
    for i in range(4):
        alone = spherical(first[i : i + 1], second[i : i + 1], 0.3)
        torch.testing.assert_close(spherical(first, second, 0.3)[i : i + 1], alone)


def test_interpolation_begins_and_ends_at_its_samples_and_stays_in_the_law() -> None:
    """Half way between two draws of N(m, d^2 I) in many dimensions lies another draw, not a point near the mean."""
    generator = torch.Generator().manual_seed(3)
    oracle = GaussianMixture.isotropic(VP(), torch.full((1, 200), 0.5), [0.4], [0])
    y = torch.zeros(3, dtype=torch.int64)
    first, second = oracle.sample(y, generator), oracle.sample(y, generator)
    path = interpolate(oracle, first, second, y, [0.0, 0.5, 1.0])
    assert path.shape == (3, 3, 200)
    torch.testing.assert_close(path[0], first, rtol=0, atol=1e-3)
    torch.testing.assert_close(path[2], second, rtol=0, atol=1e-3)
    torch.testing.assert_close((path[1] - 0.5).norm(dim=1), (first - 0.5).norm(dim=1), rtol=0.15, atol=0)
    assert bool((((first + second) / 2 - 0.5).norm(dim=1) < 0.8 * (first - 0.5).norm(dim=1)).all())
    assert interpolate(oracle, first, second, y, []).shape == (0, 3, 200)


@pytest.mark.parametrize("process", [VP(), VE(), OU(), SubVP()], ids=lambda p: type(p).__name__)
def test_the_ends_come_back_where_the_flow_parts_modes(
    process: Process, laws: dict[str, Callable[[Process], GaussianMixture]], draw: Callable[..., tuple[Tensor, ...]]
) -> None:
    oracle = laws["mixture"](process)
    x, y, _ = draw(oracle, 6)
    first, second, y = x[:3], x[3:], torch.full((3,), oracle.null)
    path = interpolate(oracle, first, second, y, [0.0, 1.0])
    torch.testing.assert_close(path, torch.stack([first, second]), rtol=0, atol=1e-3)


def test_the_ends_come_back_from_a_network(network: Preconditioned) -> None:
    first, second = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0))
    path = interpolate(network, first, second, torch.tensor([0, 1, 2, 3]), [0.0, 1.0])
    torch.testing.assert_close(path, torch.stack([first, second]).double(), rtol=0, atol=1e-3)
