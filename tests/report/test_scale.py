"""Scales and axes: columns that align, minus signs, nothing negative that is zero, round ticks that lie within."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from evenscore.report.quality import Value
from evenscore.report.scale import Axis, Scale, axis_of, bounds, given, scale_of, ticks


@pytest.mark.parametrize(
    ("values", "decimals"),
    [([0.0123, 0.045, 0.9], 4), ([12.0, 15.0], 1), ([0.5], 3), ([1234.0], 0), ([], 2), ([0.0], 2), ([3e-12], None)],
)
def test_the_middle_value_has_three_digits(values: list[float], decimals: int | None) -> None:
    assert scale_of(Value(v) for v in values).decimals == decimals


@pytest.mark.parametrize(
    ("scale", "number", "words", "signed"),
    [
        (Scale(3), 0.01234, "0.012", "+0.012"),
        (Scale(3), -0.01234, "−0.012", "−0.012"),
        (Scale(3), -0.0001, "0.000", "0.000"),
        (Scale(0), 12345.4, "12,345", "+12,345"),
        (Scale(None), -1.5e-9, "−1.50e−09", "−1.50e−09"),
        (Scale(None), 0.0, "0.00e+00", "0.00e+00"),
    ],
)
def test_numbers_in_words(scale: Scale, number: float, words: str, signed: str) -> None:
    assert (scale.words(number), scale.signed(number)) == (words, signed)


def test_what_is_not_finite_is_not_given() -> None:
    assert not given(Value(None))
    assert not given(Value(math.nan))
    assert not given(Value(math.inf))
    assert given(Value(0.0))
    assert bounds(Value(1.0, 0.0, 2.0)) == (0.0, 2.0)
    assert bounds(Value(1.0, 0.0, math.inf)) is bounds(Value(1.0)) is None


def test_an_axis_holds_values_and_most_of_the_intervals() -> None:
    axis = axis_of([Value(10.0, 9.0, 11.0), Value(12.0, -500.0, 12.5)])
    assert axis.low == 7.0
    assert axis.high == 12.5
    assert axis.place(7.0) == pytest.approx(3)
    assert axis.place(12.5) == pytest.approx(97)
    assert axis.place(-500.0) < 0


def test_zero_is_on_the_axis_where_it_is_near_or_asked_for() -> None:
    assert axis_of([Value(1.0), Value(10.0)]).low == 0
    assert axis_of([Value(9.0), Value(10.0)]).low == 9
    assert axis_of([Value(9.0), Value(10.0)], zero=True).low == 0
    assert axis_of([Value(-3.0)], zero=True) == Axis(-3.0, 0.0, (-3.0, -2.0, -1.0, 0.0))


@pytest.mark.parametrize("values", [[], [Value(None)], [Value(5.0)], [Value(0.0)], [Value(-2.0, -2.0, -2.0)]])
def test_an_axis_of_nothing_much_has_a_length(values: list[Value]) -> None:
    axis = axis_of(values)
    assert axis.high > axis.low
    assert axis.ticks


@pytest.mark.parametrize(("low", "high"), [(0, 0.04), (-0.017, 0.004), (0.9, 1.0), (3, 4000), (-1e-9, 1e-9)])
def test_ticks_are_round_and_within(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 3 <= len(found) <= 6
    assert all(low - 1e-12 <= tick <= high + 1e-12 for tick in found)
    steps = {float(f"{b - a:.6g}") for a, b in pairwise(found)}
    assert len(steps) == 1
    assert f"{steps.pop():e}"[0] in "125"
