"""Strict records: nothing ignored, nothing guessed, and every refusal says what was expected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from evenscore import records
from evenscore.errors import UsageError


@dataclass(frozen=True)
class Inner:
    size: int = 1


@dataclass(frozen=True)
class Record:
    kind: ClassVar[str] = "not a field"
    steps: int = 3
    rate: float = 0.5
    name: str = "a"
    on: bool = False
    limit: float | None = None
    sizes: tuple[int, ...] = (1, 2)
    inner: Inner = field(default_factory=Inner)


@dataclass(frozen=True)
class Needy:
    name: str
    count: int
    extra: int = 0


RECORDS = [
    Record(),
    Record(2**60 + 1, 1e-30, "with = and , inside", True, 2.5, (), Inner(7)),
    Record(limit=0.0, sizes=(-1, 0, 5)),
]


@pytest.mark.parametrize("record", RECORDS)
def test_reading_what_was_written_gives_the_record(record: Record) -> None:
    assert records.read(Record, records.write(record)) == record


def test_everything_is_written_defaults_too() -> None:
    plain: dict[str, Any] = {"steps": 3, "rate": 0.5, "name": "a", "on": False, "limit": None, "sizes": [1, 2]}
    assert records.write(Record()) == plain | {"inner": {"size": 1}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"steps": "12"}, Record(steps=12)),
        ({"steps": "1e3"}, Record(steps=1000)),
        ({"steps": 4.0}, Record(steps=4)),
        ({"steps": str(2**62 + 3)}, Record(steps=2**62 + 3)),
        ({"rate": "3e-4"}, Record(rate=3e-4)),
        ({"rate": 2}, Record(rate=2.0)),
        ({"on": "true"}, Record(on=True)),
        ({"on": False}, Record(on=False)),
        ({"limit": "none"}, Record(limit=None)),
        ({"limit": "0.25"}, Record(limit=0.25)),
        ({"sizes": "4,5"}, Record(sizes=(4, 5))),
        ({"sizes": [4]}, Record(sizes=(4,))),
        ({"inner": {"size": "9"}}, Record(inner=Inner(9))),
    ],
)
def test_text_is_parsed_by_the_type_of_its_field(given: dict[str, Any], expected: Record) -> None:
    found = records.read(Record, given)
    assert found == expected
    assert type(found.steps) is int
    assert type(found.rate) is float


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"stesp": 3}, "unknown key 'stesp': did you mean 'steps'?"),
        ({"inner": {"siez": 3}}, "unknown key 'siez': did you mean 'size'?"),
        ({"steps": "many"}, "steps='many' cannot be used: steps takes a whole number"),
        ({"steps": 1.5}, "steps=1.5 cannot be used: steps takes a whole number"),
        ({"steps": True}, "steps=True cannot be used: steps takes a whole number"),
        ({"steps": "1e999"}, "steps='1e999' cannot be used: steps takes a whole number"),
        ({"steps": None}, "steps=None cannot be used: steps takes a whole number"),
        ({"rate": "fast"}, "rate='fast' cannot be used: rate takes a number"),
        ({"rate": "nan"}, "rate='nan' cannot be used: rate takes a number"),
        ({"rate": True}, "rate=True cannot be used: rate takes a number"),
        ({"limit": "inf"}, "limit='inf' cannot be used: limit takes a number"),
        ({"on": "yes"}, "on='yes' cannot be used: on takes true or false"),
        ({"on": []}, "on=[] cannot be used: on takes true or false"),
        ({"name": 3}, "name=3 cannot be used: name takes a word"),
        ({"sizes": 3}, "sizes=3 cannot be used: sizes takes a list"),
        ({"sizes": "1,x"}, "sizes='x' cannot be used: sizes takes a whole number"),
        ({"inner": 3}, "inner=3 cannot be used: inner takes something else"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        records.read(Record, given)
    assert str(caught.value) == sentence


def test_a_far_word_lists_all_keys() -> None:
    with pytest.raises(
        UsageError, match="unknown key 'zzz': choose one of: inner, limit, name, on, rate, sizes, steps"
    ):
        records.read(Record, {"zzz": 1})


def test_missing_keys_are_named() -> None:
    assert records.read(Needy, {"name": "a", "count": 2}) == Needy("a", 2)
    with pytest.raises(UsageError, match="count is missing: give count"):
        records.read(Needy, {"name": "a"})


def test_checks_name_key_value_and_what_is_expected() -> None:
    records.check("tau", 1.0, True, "at least 0")
    records.check_name("law", "sqrt", ("sqrt", "train"))
    with pytest.raises(UsageError, match="tau=-1 cannot be used: tau must be at least 0"):
        records.check("tau", -1, False, "at least 0")
    with pytest.raises(UsageError, match="unknown law 'sqr': did you mean 'sqrt'"):
        records.check_name("law", "sqr", ("sqrt", "train"))
