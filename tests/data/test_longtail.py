from __future__ import annotations

import numpy as np
import pytest

from evenscore.data import Dataset, LongTail, from_arrays, long_tail_counts, long_tail_indices
from evenscore.errors import DataError, UsageError


def balanced(classes: int, each: int) -> Dataset:
    n = classes * each
    return from_arrays(np.arange(n, dtype=np.float32)[:, None], np.random.default_rng(1).permutation(n) % classes)


def test_published_counts() -> None:
    expected = (5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50)
    assert long_tail_counts(5000, 10, LongTail(100)) == expected
    totals = {(5000, 10, 1000): 9324, (5000, 10, 50): 13996, (500, 100, 100): 10847, (500, 100, 50): 12608}
    for (n_max, classes, factor), total in totals.items():
        assert sum(long_tail_counts(n_max, classes, LongTail(factor))) == total
    hundred = long_tail_counts(500, 100, LongTail(100))
    assert (hundred[0], hundred[-1]) == (500, 5)


def test_step_and_reversed() -> None:
    assert long_tail_counts(100, 5, LongTail(10, "step")) == (100, 100, 100, 10, 10)
    assert long_tail_counts(5000, 10, LongTail(100, order="reversed"))[::-1] == long_tail_counts(
        5000, 10, LongTail(100)
    )


def test_indices_come_from_one_legacy_stream_class_by_class() -> None:
    labels = np.random.default_rng(3).integers(0, 4, 200)
    counts = (20, 11, 5, 1)
    np.random.seed(7)
    expected: list[int] = []
    for c, n in enumerate(counts):
        index = np.where(labels == c)[0]
        np.random.shuffle(index)
        expected += index[:n].tolist()
    assert long_tail_indices(labels, counts, 7).tolist() == expected


def test_application_keeps_held_out_data_and_leaves_the_global_generator_alone() -> None:
    base = balanced(4, 40)
    data = Dataset(base.values, base.labels, base.class_names, "x", test=base)
    state = np.random.get_state()[1].tolist()
    tail = LongTail(8, seed=1)(data)
    assert np.random.get_state()[1].tolist() == state
    assert tail.distribution.counts == (40, 20, 10, 5)
    assert tail.test is base
    np.testing.assert_array_equal(tail.labels, np.repeat(np.arange(4), (40, 20, 10, 5)))
    assert not np.array_equal(tail.values, LongTail(8, seed=2)(data).values)
    assert LongTail(8, max_per_class=16)(data).distribution.counts == (16, 8, 4, 2)


def test_unequal_sets_use_the_largest_class_and_say_what_is_capped() -> None:
    data = from_arrays(np.zeros((70, 1), np.float32), np.repeat([0, 1, 2], [10, 50, 10]))
    tail = LongTail(2)(data)
    assert tail.distribution.counts == (10, 35, 10)
    assert "0 10 of 50, 2 10 of 25" in tail.notes[0]


def test_an_empty_class_is_refused() -> None:
    with pytest.raises(
        DataError, match="class '24' would have 0 of 5 samples .76 classes are empty.: give a factor below 5"
    ):
        LongTail(1000)(balanced(100, 5))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"factor": 0.5}, "at least 1"),
        ({"factor": float("nan")}, "at least 1"),
        ({"factor": 2, "profile": "expp"}, "did you mean 'exp'"),
        ({"factor": 2, "order": "reverse"}, "did you mean 'reversed'"),
        ({"factor": 2, "seed": -1}, "seed -1"),
        ({"factor": 2, "max_per_class": 0}, "per class 0"),
    ],
)
def test_bad_constructions(options: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        LongTail(**options)  # type: ignore[arg-type]
