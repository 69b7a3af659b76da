"""Memorisation: planted copies are found, real samples hardly ever, and streaming changes nothing."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

from evenscore.data import digits
from evenscore.errors import DataError
from evenscore.metrics.agreement import wilson
from evenscore.metrics.memorisation import (
    CAUTIOUS,
    FALSE_ALARMS,
    MemorisationFinder,
    calibrated,
    memorisation,
    reduced,
    windows,
)
from evenscore.random import generator

SIZES = (120, 80, 50, 30, 20, 12, 8, 5, 5, 5)


@cache
def tail() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Long-tailed digits with labels, and the digits that are left over, of which none is a copy."""
    data = digits()
    rows = torch.cat([torch.from_numpy(data.of_class(k)[:n]) for k, n in enumerate(SIZES)])
    rest = torch.ones(len(data), dtype=torch.bool)
    rest[rows] = False
    y = torch.from_numpy(data.labels)
    return data.tensor(rows.numpy()), y[rows], data.tensor(rest.nonzero()[:, 0].numpy()), y[rest]


@cache
def finder() -> MemorisationFinder:
    x, y, other, labels = tail()
    return MemorisationFinder(x, y, 10, held_out=(other[::2], labels[::2]))


@pytest.mark.parametrize("kind", ["exact", "moved", "noised"])
def test_planted_copies_are_found_in_every_class(kind: str) -> None:
    x, y, *_ = tail()
    moved = torch.nn.functional.pad(x, (1, 1, 1, 1), mode="replicate")[:, :, :8, 2:]
    noised = (x + torch.randn(x.shape, generator=generator(1)) * 4 / 127.5).clamp(-1, 1)
    copies = {"exact": x, "moved": moved, "noised": noised}[kind]
    count = finder().count()
    count.add(copies, y, range(len(x)))
    found = count.result()
    assert found.n_by_class == SIZES
    assert all(share is not None and share >= 0.95 for share in found.by_class)
    assert all(pair.is_copy and pair.sample == pair.training for pair in found.pairs)


@pytest.mark.parametrize("source", ["held-out", "halves"])
def test_real_samples_are_hardly_ever_called_copies(source: str) -> None:
    x, y, other, labels = tail()
    judge = finder() if source == "held-out" else MemorisationFinder(x, y, 10)
    assert judge.calibration.source == source
    assert judge.calibration.false_alarms <= FALSE_ALARMS
    called = [pair.is_copy for pair in judge.pairs(other[1::2], labels[1::2], range(len(labels[1::2])))]
    assert sum(called) / len(called) <= 0.02


def test_batches_give_what_all_at_once_give() -> None:
    x, y, other, labels = tail()
    samples, theirs = torch.cat([x[::7], other[:40]]), torch.cat([y[::7], labels[:40]])
    whole, parts = finder().count(), finder().count()
    whole.add(samples, theirs, range(len(samples)))
    for start in range(0, len(samples), 13):
        rows = slice(start, start + 13)
        parts.add(samples[rows], theirs[rows], range(len(samples))[rows])
    assert whole.result() == parts.result()
    (share, interval, n) = (whole.result().share, whole.result().interval, len(samples))
    assert interval == wilson(round(share * n), n)
    assert len(whole.result().pairs) == 20
    assert [p.ratio for p in whole.result().pairs] == sorted(p.ratio for p in whole.result().pairs)


def test_thresholds_are_order_statistics() -> None:
    ratios = torch.arange(1000).double() / 1000
    found = calibrated(ratios, torch.zeros(1000, dtype=torch.int64), 2, "held-out")
    assert found.thresholds == (0.005, 0.005)
    assert found.false_alarms == 0.005
    close = torch.where(torch.arange(1000) < 200, 0.001 * torch.arange(1000), 1.0)
    labels = (torch.arange(1000) >= 200).long()
    by_class = calibrated(close, labels, 2, "held-out").thresholds
    assert by_class == (pytest.approx(0.001), pytest.approx(0.005))
    assert max(calibrated(ratios[:50] + 0.8, labels[:50], 2, "halves").thresholds) == CAUTIOUS


def test_windows_of_a_moved_image_hold_the_middle_of_the_image() -> None:
    x = torch.rand(3, 1, 6, 7, generator=generator(0))
    middle, *others = windows(x)
    assert torch.equal(middle, x[:, :, 1:-1, 1:-1])
    assert len(others) == 8
    assert any(torch.equal(part, middle) for part in windows(x.roll((1, -1), (2, 3))))
    assert windows(torch.ones(2, 5))[0].shape == (2, 5)
    assert reduced(torch.ones(2, 3, 64, 48)).shape == (2, 3, 32, 24)
    assert reduced(x) is x


def test_vectors_can_be_judged_and_a_class_without_samples_has_no_share() -> None:
    draws = generator(4)
    x, y = torch.randn(60, 5, generator=draws), torch.arange(60) % 3
    found = memorisation(x, y, torch.cat([x[:3], torch.randn(4, 5, generator=draws) + 9]), torch.tensor([0] * 7), 3)
    assert found.by_class == (3 / 7, None, None)
    assert found.intervals[1] is None
    assert {pair.sample for pair in found.pairs if pair.is_copy} == {0, 1, 2}


def test_what_cannot_be_judged_is_refused() -> None:
    x, y = torch.rand(6, 3), torch.zeros(6, dtype=torch.int64)
    with pytest.raises(DataError, match="at least 4"):
        MemorisationFinder(x[:3], y[:3], 1)
    with pytest.raises(DataError, match="among at least one"):
        MemorisationFinder(x, y, 1).count().result()
    with pytest.raises(DataError, match="as in training"):
        MemorisationFinder(x, y, 1).pairs(x[:, :2], y, range(6))
