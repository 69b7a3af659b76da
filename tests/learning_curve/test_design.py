"""What is trained for a learning curve: every class at every size once, nothing judged that was trained on, bounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from evenscore.data import Dataset
from evenscore.errors import DataError, UsageError
from evenscore.learning_curve import CurveSettings, design
from evenscore.learning_curve.design import Turn, recalls, turns


def numbered(counts: tuple[int, ...], held_out: tuple[int, ...] | None = None) -> Dataset:
    """Vectors whose first value is their class and whose second their number, so that a learner can tell what it was given."""

    def part(n: tuple[int, ...], start: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat(np.arange(len(n)), n)
        return np.stack([labels, start + np.arange(len(labels))], 1).astype(np.float32), labels

    test = None if held_out is None else part(held_out, 10_000)
    return Dataset.from_arrays(*part(counts, 0), name="numbered", test=test)


Given = tuple[Tensor, Tensor, int, int]


def watched(data: Dataset, settings: CurveSettings) -> tuple[list[Turn], list[Given], list[Tensor]]:
    """All trainings, what the learner was given in each, and what it was asked."""
    given: list[Given] = []
    asked: list[Tensor] = []

    def learner(x: Tensor, y: Tensor, num_classes: int, seed: int, steps: int) -> Callable[[Tensor], Tensor]:
        given.append((x, y, seed, steps))

        def answer(z: Tensor) -> Tensor:
            asked.append(z)
            return z[:, 0].long()

        return answer

    return list(turns(design(data, settings), settings, learner)), given, asked


def test_every_class_is_trained_at_every_size_once_for_each_seed() -> None:
    data, settings = numbered((60, 50, 45, 7), (20, 20, 20, 20)), CurveSettings((2, 5, 20, 40), seeds=2, steps=9)
    found, given, asked = watched(data, settings)
    assert [turn.number for turn in found] == list(range(1, 9))
    assert {turn.total for turn in found} == {8}
    for s in range(2):
        mine = [turn for turn in found if turn.seed == s]
        for k in (0, 1, 2):
            assert sorted(turn.sizes[k] for turn in mine) == [2, 5, 20, 40]
        for turn, (x, y, _, steps) in zip(mine, given[4 * s : 4 * s + 4], strict=True):
            assert Counter(y.tolist()) == {**turn.sizes, 3: 7}
            assert torch.equal(x[:, 0].long(), y)
            assert steps == 9
        for k in (0, 1, 2):
            chosen = [set(x[y == k][:, 1].tolist()) for x, y, *_ in given[4 * s : 4 * s + 4]]
            by_size = sorted(chosen, key=len)
            assert all(small < large for small, large in pairwise(by_size)), "smaller subsets are parts of larger ones"
    assert len({seed for *_, seed, _ in given}) == 8
    assert {len(z) for z in asked} == {60}, "20 held-out samples of each of three classes"
    assert all(turn.recall == {0: 1.0, 1: 1.0, 2: 1.0} for turn in found)


def test_the_places_of_the_classes_change_with_the_seed() -> None:
    data = numbered((50,) * 5, (10,) * 5)
    found, *_ = watched(data, CurveSettings((2, 5, 10, 20, 50), seeds=4))
    firsts = {tuple(next(t for t in found if t.seed == s).sizes.values()) for s in range(4)}
    assert len(firsts) > 1


def test_without_a_held_out_part_a_quarter_is_kept_out_and_never_trained_on() -> None:
    data, settings = numbered((80, 60, 44, 6)), CurveSettings((2, 20), seeds=2)
    plan = design(data, settings)
    assert plan.classes == (0, 1, 2)
    assert {k: len(rows) for k, rows in plan.judged.items()} == {0: 20, 1: 15, 2: 11}
    assert plan.kept_out == "training samples that were kept out for it"
    _, given, asked = watched(data, settings)
    trained = {float(number) for x, *_ in given for number in x[:, 1]}
    assert trained.isdisjoint(asked[0][:, 1].tolist())
    assert design(data, replace(settings, seed=1)).judged[0].tolist() != plan.judged[0].tolist()


def test_sizes_are_those_that_three_classes_have() -> None:
    plan = design(numbered((600, 210, 120, 30, 4), (50,) * 5), CurveSettings())
    assert plan.classes == (0, 1, 2)
    assert plan.sizes == (2, 5, 10, 20, 50, 100)
    one = design(numbered((600, 15), (50, 50)), CurveSettings())
    assert (one.classes, one.sizes[-1]) == ((0,), 500)
    few_held_out = design(numbered((600, 600, 600, 600), (50, 50, 50, 9)), CurveSettings())
    assert few_held_out.classes == (0, 1, 2)
    many = design(numbered((25,) * 30, (10,) * 30), CurveSettings())
    assert len(many.classes) == 20


def test_nothing_grows_with_the_data() -> None:
    data = numbered((3000, 2500, 2600, 900), (400,) * 4)
    _, given, asked = watched(data, CurveSettings((2, 50), seeds=2, judged=30))
    assert {int((y == 3).sum()) for _, y, *_ in given} <= {2, 50}
    assert {len(z) for z in asked} == {120}


def test_recalls_stand_by_class_size_and_seed() -> None:
    data, settings = numbered((30, 30, 30), (10, 10, 10)), CurveSettings((2, 5, 20), seeds=2)
    found, *_ = watched(data, settings)
    marked = [
        replace(turn, recall={k: turn.sizes[k] + k / 10 + turn.seed / 100 for k in turn.recall}) for turn in found
    ]
    values = recalls(design(data, settings), marked)
    assert values.shape == (3, 3, 2)
    for j, i, s in np.ndindex(3, 3, 2):
        assert values[j, i, s] == pytest.approx((2, 5, 20)[i] + j / 10 + s / 100)


def test_data_without_a_large_class_are_refused_in_one_sentence() -> None:
    with pytest.raises(
        DataError,
        match=r"no class of numbered is large enough .*'0', has 39 samples\): give data with a class of at least 40",
    ):
        design(numbered((39, 5)), CurveSettings())
    with pytest.raises(
        DataError, match=r"has 50 samples and 9 held out\): give data with .* 20 training and 10 held-out"
    ):
        design(numbered((50, 5), (9, 9)), CurveSettings())
    with pytest.raises(DataError, match="at least 60 training"):
        design(numbered((50, 5), (20, 9)), CurveSettings((2, 60)))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"seeds": 1}, "1 seeds cannot be used: give at least 2"),
        ({"sizes": (5,)}, "sizes 5 cannot be used"),
        ({"sizes": (5, 2)}, "sizes 5,2 cannot be used"),
        ({"sizes": (0, 2)}, "from 1 on"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"within": 0.0}, "within must be between 0 and 1"),
        ({"judged": 5}, "judged must be at least 10"),
    ],
)
def test_settings_are_checked_when_made(changed: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        replace(CurveSettings(), **changed)
