"""Budgets, grids and the configuration: what is understood, and what is refused in one sentence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from evenscore.comparison import Budget, ComparisonConfig, read_budget
from evenscore.comparison.grid import places, read_grid, read_guidances, shown
from evenscore.errors import UsageError
from evenscore.evaluation import Settings
from evenscore.sampling import DEFAULT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500", Budget(steps=500)),
        ("500steps", Budget(steps=500)),
        ("1 step", Budget(steps=1)),
        ("5min", Budget(seconds=300.0)),
        ("5m", Budget(seconds=300.0)),
        ("1.5 m", Budget(seconds=90.0)),
        ("90s", Budget(seconds=90.0)),
        ("2h", Budget(seconds=7200.0)),
    ],
)
def test_a_budget_is_steps_or_time(text: str, expected: Budget) -> None:
    assert read_budget(text) == expected


@pytest.mark.parametrize("text", ["0", "0min", "-5", "1.5 steps", "five", "", "5 days", "nan", "inf"])
def test_a_budget_of_nothing_or_nonsense_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="give steps such as 500, or minutes such as 5min, above 0"):
        read_budget(text)


def test_time_becomes_steps_by_the_cost_of_a_step() -> None:
    assert Budget(seconds=60).in_steps(0.25) == 240
    assert Budget(seconds=1).in_steps(10) == 1
    assert Budget(steps=7).in_steps(10) == 7
    with pytest.raises(UsageError, match="give one of them, above 0"):
        Budget(steps=0)
    with pytest.raises(UsageError, match="give one of them, above 0"):
        Budget(steps=1, seconds=1)


def test_a_grid_is_all_combinations_in_order() -> None:
    grid = read_grid(["lr=1e-3, 2e-3", "dropout=0,0.1"])
    assert [shown(place) for place in places(grid)] == [
        "lr 1e-3, dropout 0",
        "lr 1e-3, dropout 0.1",
        "lr 2e-3, dropout 0",
        "lr 2e-3, dropout 0.1",
    ]
    assert places({}) == [{}]
    assert read_guidances("1,2.5") == (1.0, 2.5)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["lr"], "is not key=value,value"),
        (["lr="], "is not key=value,value"),
        (["lr=1e-3,1e-3"], "each value once"),
        (["lr=1e-3", "lr=2e-3"], "stands twice"),
        (["seed=1,2"], "cannot hold seed, which is the same for all methods"),
        (["batch_size=8,16"], "cannot hold batch_size"),
    ],
)
def test_what_is_no_grid_is_refused(texts: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_grid(texts)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seeds": 0}, "seeds=0 cannot be used: seeds must be between 1 and 1000"),
        ({"per_class": 0}, "per-class=0 cannot be used"),
        ({"workers": 0}, "workers=0 cannot be used"),
        (
            {"evaluation": Settings(part="train")},
            "reference part=train cannot be used: .* what was trained on does not judge",
        ),
        ({"equal": "time"}, "unknown rule of equality 'time'"),
        ({"common": {"steps": "5"}}, "steps=5 cannot be used: steps must be left to the comparison"),
        ({"guidance_grid": (-1.0,)}, "guidance"),
    ],
)
def test_a_configuration_out_of_range_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        ComparisonConfig(Budget(steps=1), **changes)


def test_a_guidance_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="names a scale twice"):
        read_guidances("1,1.0")


def test_an_interval_is_kept_only_where_guidance_strengthens_the_class() -> None:
    config = ComparisonConfig(Budget(steps=5))
    assert config.at(3.0) == replace(DEFAULT, guidance=3.0)
    assert [config.at(scale).interval for scale in (0.0, 1.0)] == [None, None]
