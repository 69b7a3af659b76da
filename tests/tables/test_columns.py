"""The kind of a column, read from its values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evenscore.tables import Column, read_frame


def column(values: Any) -> Column:
    (read,) = read_frame(np.asarray(values)[:, None]).columns
    return Column.of(read)


def test_kinds_are_read_from_values() -> None:
    assert column([0.5, 1.0, 2.0]).kind == "numeric"
    assert column([5.0, 5.0, 5.0]).kind == "constant"
    assert column([True, False]).kind == "boolean"
    assert column(["b", "a", "b"]).levels == ("a", "b")
    whole = column(np.arange(100))
    assert (whole.kind, whole.low, whole.high, whole.levels) == ("integer", 0, 99, ())


def test_floats_that_are_all_whole_are_integers() -> None:
    assert column(np.arange(100.0)).kind == "integer"


def test_a_few_whole_numbers_are_levels() -> None:
    few = column([0, 5, 10] * 20)
    assert few.levels == (0, 5, 10)
    assert column([0, 5, 10]).levels == ()


@pytest.mark.parametrize(("values", "levels"), [(["a", None], ("a", None)), ([None, None], (None,))])
def test_missing_levels_are_levels(values: list[Any], levels: tuple[Any, ...]) -> None:
    assert column(np.array(values, dtype=object)).levels == levels


def test_missing_numbers_are_told() -> None:
    assert column([0.5, np.nan, 1.5]).missing
    assert not column([0.5, 1.0, 1.5]).missing
