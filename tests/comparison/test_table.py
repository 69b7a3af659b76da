"""The table equals what is reckoned by hand: means, paired differences, Student's intervals."""

from __future__ import annotations

import math

import pytest

from evenscore.comparison.table import differences, is_clear, mean_over_seeds, means, paired_difference
from evenscore.report.quality import Value

T2 = 4.302652729911275
"""The 97.5 % point of Student's law with 2 degrees of freedom."""


def of(*values: float | None) -> dict[int, Value]:
    return {seed: Value(value) for seed, value in enumerate(values)}


def test_a_paired_difference_is_reckoned_by_hand() -> None:
    found = paired_difference(of(1.0, 2.0, 4.5), of(0.5, 1.0, 3.0))
    assert found.value == pytest.approx(1.0)  # of 0.5, 1, 1.5, whose deviation is 0.5
    assert found.low == pytest.approx(1.0 - T2 * 0.5 / math.sqrt(3))
    assert found.high == pytest.approx(1.0 + T2 * 0.5 / math.sqrt(3))
    assert not is_clear(found)
    near = paired_difference(of(1.0, 2.0, 3.01), of(0.0, 1.0, 2.0))
    assert is_clear(near)
    assert is_clear(paired_difference(of(0.0, 1.0, 2.0), of(1.0, 2.0, 3.01)))


def test_pairing_takes_out_what_the_seeds_have_in_common() -> None:
    shift = {seed: Value(100.0 * seed) for seed in range(3)}
    ours = {seed: Value(100.0 * seed + 1 + 0.01 * seed) for seed in range(3)}
    found = paired_difference(ours, shift)
    assert found.value == pytest.approx(1.01)
    assert found.high == pytest.approx(1.01 + T2 * 0.01 / math.sqrt(3))


def test_only_seeds_that_both_have_count() -> None:
    found = paired_difference(of(1.0, None, 3.0, 9.0), of(0.0, 1.0, 1.0))
    assert found.value == pytest.approx(1.5)
    assert found.note == "2 seeds"
    assert paired_difference(of(1.0), of(None)) == Value(None, note="no seed has both")
    assert paired_difference(of(1.0), of(0.25)) == Value(0.75, note="one seed: no interval")


def test_the_same_difference_in_every_seed_has_no_interval_and_no_star() -> None:
    found = paired_difference(of(0.1, 0.3), of(0.2, 0.4))
    assert found.value == pytest.approx(-0.1)
    assert (found.low, found.high) == (None, None)
    assert "the same in every seed" in found.note
    assert not is_clear(found)
    assert paired_difference(of(0.1 + 0.2, 0.3), of(0.3, 0.3)).value == 0.0


def test_a_mean_says_of_how_many_seeds() -> None:
    found = mean_over_seeds([Value(1.0), Value(2.0), Value(3.0)])
    assert (found.value, found.note) == (pytest.approx(2.0), "")
    assert found.high == pytest.approx(2.0 + T2 / math.sqrt(3))
    assert mean_over_seeds([Value(1.0), Value(None, note="too few"), Value(3.0)]).note == "of 2 of 3 seeds"
    assert mean_over_seeds([Value(None, note="too few")]) == Value(None, note="too few")
    alone = mean_over_seeds([Value(1.0, 0.5, 1.5)])
    assert (alone.value, alone.low, alone.high) == (1.0, 0.5, 1.5)
    assert "interval is that of its samples" in alone.note


def test_tables_have_a_value_for_each_measure_and_part() -> None:
    ours = {0: {"energy": [Value(1.0), Value(2.0)]}, 1: {"energy": [Value(3.0), Value(2.5)]}}
    base = {0: {"energy": [Value(0.0), Value(0.0)]}, 1: {"energy": [Value(1.0), Value(0.0)]}}
    assert [value.value for value in means(ours)["energy"]] == [2.0, 2.25]
    assert [value.value for value in differences(ours, base)["energy"]] == [1.5, 2.25]
    assert means({}) == {}
    assert differences(ours, {}) == {}
