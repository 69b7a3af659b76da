"""Near copies: distances against brute force, copies found, held-out real samples let pass."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

from evenscore.data import Dataset, digits
from evenscore.errors import DataError, UsageError
from evenscore.metrics import CopyDetector
from evenscore.metrics import neighbours as module
from evenscore.random import generator


def rms(a: Tensor, b: Tensor) -> Tensor:
    """Distances (n,m) by differences in float64."""
    return (a.double().flatten(1)[:, None] - b.double().flatten(1)[None]).square().mean(2).sqrt()


@cache
def real() -> tuple[Dataset, CopyDetector]:
    data = digits()
    return data, CopyDetector(data.tensor(), torch.from_numpy(data.labels))


def random_set() -> tuple[Tensor, Tensor]:
    draws = generator(0)
    return torch.rand(90, 3, 5, 4, generator=draws) * 2 - 1, torch.randint(3, (90,), generator=draws)


@pytest.mark.parametrize("chunk", [7, 512])
def test_everything_equals_brute_force(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    x, y = random_set()
    detector = CopyDetector(x, y)
    fellows = rms(x, x).masked_fill((y[:, None] != y[None]) | torch.eye(90, dtype=torch.bool), torch.inf)
    torch.testing.assert_close(detector.own.double(), fellows.amin(1), atol=1e-6, rtol=0)
    samples = torch.rand(31, 3, 5, 4, generator=generator(1)) * 2 - 1
    labels = torch.arange(31) % 3
    found = detector.check(samples, labels)
    scale = fellows.amin(1).clamp_max(fellows.amin(1).median())
    ratio, nearest = (rms(samples, x) / scale).min(1)
    assert torch.equal(found.nearest, nearest)
    torch.testing.assert_close(found.ratio.double(), ratio, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.distance.double(), rms(samples, x)[torch.arange(31), nearest], atol=1e-6, rtol=0)
    assert torch.equal(found.same_class, y[nearest] == labels)
    assert torch.equal(found.is_copy, found.ratio < 0.5)


def test_small_distances_far_from_the_origin_do_not_cancel() -> None:
    x, y = random_set()
    x = x + 3000
    found = CopyDetector(x, y).check(x + 0.01, y)
    assert torch.equal(found.nearest, torch.arange(90))
    torch.testing.assert_close(found.distance, torch.full((90,), 0.01), atol=5e-4, rtol=0)


def test_identical_fellows_do_not_count_and_a_lone_sample_has_the_median() -> None:
    x = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.6, 0.8], [5.0, 5.0], [5.0, 8.0], [9.0, 9.0], [9.0, 9.0]])
    y = torch.tensor([0, 0, 0, 1, 1, 2, 2])
    own = CopyDetector(x, y).own * 2**0.5
    torch.testing.assert_close(own[:5], torch.tensor([1.0, 1.0, 1.0, 3.0, 3.0]))
    torch.testing.assert_close(own[5:], own[:5].median().expand(2))


def test_classes_of_one_sample_each_are_measured_against_each_other() -> None:
    detector = CopyDetector(torch.tensor([[0.0], [1.0], [3.0]]), torch.arange(3))
    torch.testing.assert_close(detector.own, torch.tensor([1.0, 1.0, 2.0]))


def test_copies_of_samples_that_have_a_near_duplicate_are_found() -> None:
    """Their own distance is below the rounding of the matrix product, which alone would give others a smaller ratio."""
    draws = generator(5)
    x = torch.randn(80, 200, generator=draws)
    x = torch.cat([x, x[:20] + 1e-5 * torch.randn(20, 200, generator=draws)])
    labels = torch.zeros(100, dtype=torch.int64)
    found = CopyDetector(x, labels).check(x, labels)
    assert torch.equal(found.nearest, torch.arange(100))
    assert bool(found.is_copy.all())


def test_held_out_real_digits_are_practically_never_copies() -> None:
    data, detector = real()
    assert data.test is not None
    found = detector.check(data.test.tensor(), torch.from_numpy(data.test.labels))
    assert float(found.is_copy.float().mean()) <= 0.02


def test_exact_copies_are_found_in_any_class() -> None:
    data, detector = real()
    labels = (torch.from_numpy(data.labels) + 1) % 10
    found = detector.check(data.tensor(), labels)
    assert bool(found.is_copy.all())
    assert float(found.distance.max()) == 0
    assert not bool(found.same_class.any())


def test_copies_with_noise_of_a_grey_level_are_found() -> None:
    data, detector = real()
    noise = torch.randint(-1, 2, (len(data), 1, 8, 8), generator=generator(2)) / 127.5
    found = detector.check((data.tensor() + noise).clamp(-1, 1), torch.from_numpy(data.labels))
    assert float(found.is_copy.float().mean()) >= 0.95
    assert float((found.nearest == torch.arange(len(data))).float().mean()) >= 0.95


def test_a_moved_copy_is_found_only_with_shifts() -> None:
    x = torch.zeros(40, 1, 12, 12)
    x[:, :, 2:-2, 2:-2] = torch.rand(40, 1, 8, 8, generator=generator(3))
    y = torch.arange(40) % 2
    moved = x.roll((1, -1), (2, 3))
    assert not bool(CopyDetector(x, y).check(moved, y).is_copy.any())
    found = CopyDetector(x, y, shifts=1).check(moved, y)
    assert torch.equal(found.nearest, torch.arange(40))
    assert float(found.distance.max()) == 0


def test_ratio_0_calls_nothing_a_copy_and_no_samples_give_no_entries() -> None:
    x, y = random_set()
    detector = CopyDetector(x, y, ratio=0)
    assert not bool(detector.check(x, y).is_copy.any())
    assert len(detector.check(x[:0], y[:0]).ratio) == 0


def test_bad_input_is_refused() -> None:
    x, y = random_set()
    with pytest.raises(DataError, match="one label for each"):
        CopyDetector(x, y[:5])
    with pytest.raises(DataError, match="identical"):
        CopyDetector(torch.ones(4, 3), torch.tensor([0, 0, 1, 1]))
    with pytest.raises(UsageError, match="at least 0"):
        CopyDetector(x, y, ratio=-1)
    with pytest.raises(UsageError, match="for images only"):
        CopyDetector(x.flatten(1), y, shifts=1)
    with pytest.raises(DataError, match=r"shape \(3, 5, 4\)"):
        CopyDetector(x, y).check(x[:, :1], y)
