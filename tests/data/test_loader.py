from __future__ import annotations

import numpy as np
import pytest

from evenscore.data import POLICIES, Dataset, Loader, from_arrays
from evenscore.errors import UsageError

COUNTS = (40, 13, 5, 1)


@pytest.fixture
def data() -> Dataset:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(4), COUNTS))
    return from_arrays(np.zeros((len(labels), 1), np.float32), labels)


def stream(loader: Loader, steps: int) -> np.ndarray:
    return np.concatenate([loader.batch(s) for s in range(steps)])


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("batch_size", [1, 7, 64, 150])
def test_a_batch_depends_on_seed_and_step_alone(data: Dataset, policy: str, batch_size: int) -> None:
    walked = Loader(data, batch_size, policy, 3)
    ahead = [walked.batch(s) for s in range(30)]
    for step in (29, 0, 11):
        fresh = Loader(data, batch_size, policy, 3).batch(step)
        np.testing.assert_array_equal(fresh, ahead[step])
        np.testing.assert_array_equal(walked.batch(step), ahead[step])
    assert fresh.dtype == np.int64
    assert fresh.shape == (batch_size,)
    other = stream(Loader(data, batch_size, policy, 4), 30)
    assert not np.array_equal(np.concatenate(ahead), other)


@pytest.mark.parametrize("batch_size", [1, 7, 59, 64, 150])
def test_as_found_shows_every_sample_once_per_epoch(data: Dataset, batch_size: int) -> None:
    n = len(data)
    seen = stream(Loader(data, batch_size, "as-found", 0), 4 * n // batch_size + 1)
    epochs = [seen[e * n : (e + 1) * n] for e in range(4)]
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(n))
    assert not np.array_equal(epochs[0], epochs[1])


@pytest.mark.parametrize("batch_size", [1, 3, 4, 6, 64, 151])
def test_uniform_is_as_equal_as_can_be(data: Dataset, batch_size: int) -> None:
    loader = Loader(data, batch_size, "uniform", 0)
    total = np.zeros(4, int)
    for step in range(60):
        counts = np.bincount(data.labels[loader.batch(step)], minlength=4)
        assert counts.min() >= batch_size // 4
        assert counts.max() <= -(-batch_size // 4)
        total += counts
        assert np.ptp(total) <= 1, "the places left over go round"


def test_uniform_shows_a_class_whole_before_repeating(data: Dataset) -> None:
    loader = Loader(data, 6, "uniform", 0)
    batches = [loader.batch(s) for s in range(100)]
    for k, n in enumerate(COUNTS):
        rows = [np.sort(b[data.labels[b] == k]) for b in batches]
        seen = np.bincount(np.concatenate(rows), minlength=len(data))[data.of_class(k)]
        assert np.ptp(seen) <= 1
        assert seen.sum() == 150
        assert len(seen) == n


def test_uniform_ignores_classes_without_samples(data: Dataset) -> None:
    part = data.select(np.concatenate([data.of_class(0), data.of_class(2)]))
    batch = Loader(part, 10, "uniform", 0).batch(0)
    assert np.bincount(part.labels[batch], minlength=4).tolist() == [5, 0, 5, 0]


def test_sqrt_draws_by_the_square_root(data: Dataset) -> None:
    batch = stream(Loader(data, 500, "sqrt", 0), 40)
    share = np.bincount(data.labels[batch], minlength=4) / len(batch)
    expected = np.sqrt(COUNTS) / np.sqrt(COUNTS).sum()
    np.testing.assert_allclose(share, expected, atol=4 * 0.5 / np.sqrt(len(batch)))
    small = Loader(data, 8, "sqrt", 0).batch(0)
    head = small[data.labels[small] == 0]
    assert len(set(head)) == len(head)


def test_batches_are_not_sorted_by_class(data: Dataset) -> None:
    labels = data.labels[Loader(data, 64, "uniform", 0).batch(0)]
    assert (np.diff(labels) != 0).sum() > 10


def test_a_stretch_is_what_batches_are_cut_from(data: Dataset) -> None:
    loader = Loader(data, 7, seed=2)
    whole = stream(loader, 30)
    pieces = [loader.stretch(start, n) for start, n in ((0, 50), (50, 0), (50, 1), (51, 159))]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    with pytest.raises(UsageError, match="policy 'uniform' draws whole batches: use as-found"):
        Loader(data, 7, "uniform").stretch(0, 3)


def test_bad_requests(data: Dataset) -> None:
    with pytest.raises(UsageError, match="did you mean 'uniform'"):
        Loader(data, 4, "unifrom", 0)
    with pytest.raises(UsageError, match="batch size 0"):
        Loader(data, 0, "uniform", 0)


@pytest.mark.parametrize("batch_size", [2, 3, 9, 64])
def test_pairs_leave_no_sample_alone_of_its_class(data: Dataset, batch_size: int) -> None:
    loader = Loader(data, batch_size, "pairs", 0)
    for step in range(40):
        counts = np.bincount(data.labels[loader.batch(step)], minlength=4)
        assert counts.sum() == batch_size
        assert set(counts) & {1} == set()


def test_pairs_draw_classes_as_capped_does(data: Dataset) -> None:
    share = np.bincount(data.labels[stream(Loader(data, 500, "pairs", 0), 60)], minlength=4) / 30_000
    np.testing.assert_allclose(share, np.array(COUNTS) / sum(COUNTS), atol=4 * 0.5 / np.sqrt(15_000))
    small = Loader(data, 8, "pairs", 0).batch(1)
    head = small[data.labels[small] == 0]
    assert len(set(head)) == len(head), "two different samples where there are two"
