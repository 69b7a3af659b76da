"""The plan: what is kept and what is made, and where targets come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evenscore.balancing import make_plan, read_target
from evenscore.balancing.plan import Target
from evenscore.balancing.real import kept
from evenscore.data import Dataset
from evenscore.errors import DataError, UsageError

NAMES = ("cat", "dog", "7")


@pytest.fixture
def data() -> Dataset:
    labels = np.repeat([0, 1, 2], [120, 30, 4])
    return Dataset.from_arrays(np.zeros((154, 4, 4), dtype=np.uint8), labels, NAMES)


@pytest.mark.parametrize(
    ("target", "keep", "make"),
    [
        ("uniform", [120, 30, 4], [0, 90, 116]),
        (50, [50, 30, 4], [0, 20, 46]),
        (0, [0, 0, 0], [0, 0, 0]),
        ((10, 40, 4), [10, 30, 4], [0, 10, 0]),
    ],
)
def test_plans_by_hand(data: Dataset, target: Target, keep: list[int], make: list[int]) -> None:
    plan = make_plan(data, target)
    assert [row.keep for row in plan] == keep
    assert [row.make for row in plan] == make
    assert [(row.name, row.group, row.real) for row in plan] == [
        ("cat", "head", 120),
        ("dog", "medium", 30),
        ("7", "tail", 4),
    ]
    assert all(row.keep + row.make == row.wanted for row in plan)


def test_a_target_that_does_not_fit_is_refused(data: Dataset) -> None:
    for target in ((1, 2), (1, 2, -3)):
        with pytest.raises(UsageError, match="does not fit 3 classes"):
            make_plan(data, target)


def test_what_is_kept_is_a_seeded_choice(data: Dataset) -> None:
    one, same, other = (kept(data, 0, 10, seed).tolist() for seed in (0, 0, 1))
    assert one == same == sorted(set(one))
    assert one != other
    assert set(one) <= set(range(120))
    assert kept(data, 2, 4, 0).tolist() == [150, 151, 152, 153]


@pytest.mark.parametrize(
    ("name", "content"), [("t.json", '{"dog": 2, "cat": 1, "7": 0}'), ("t.yaml", "dog: 2\ncat: 1\n7: 0\n")]
)
def test_targets_are_read_from_files(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert read_target(str(tmp_path / name), NAMES) == (1, 2, 0)


def test_targets_are_words_or_numbers() -> None:
    assert read_target("uniform", NAMES) == "uniform"
    assert read_target("12", NAMES) == 12
    for text, words in (("0", "give at least 1"), ("-3", "give at least 1"), ("even", "is neither uniform, nor a")):
        with pytest.raises(UsageError, match=words):
            read_target(text, NAMES)


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        ("cat: 1\ndgo: 2\n7: 1", UsageError, "unknown class 'dgo': did you mean 'dog'"),
        ("cat: 1\ndog: 2", UsageError, "class '7' is given None: give every class a whole number"),
        ("cat: 1\ndog: two\n7: 1", UsageError, "class 'dog' is given 'two'"),
        ("cat: 1\ndog: -2\n7: 1", UsageError, "class 'dog' is given -2"),
        ("cat: true\ndog: 2\n7: 1", UsageError, "class 'cat' is given True"),
        ("cat: 1.5\ndog: 2\n7: 1", UsageError, "class 'cat' is given 1.5"),
        ("- 1\n- 2", DataError, "does not map class names to numbers"),
        ("cat: [1", DataError, "cannot be read"),
    ],
)
def test_target_files_that_do_not_fit_are_refused(
    tmp_path: Path, content: str, error: type[Exception], words: str
) -> None:
    (tmp_path / "t.yaml").write_text(content)
    with pytest.raises(error, match=words):
        read_target(str(tmp_path / "t.yaml"), NAMES)
