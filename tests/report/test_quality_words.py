"""Words by paired differences alone: better and worse only where an interval leaves out zero."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from evenscore.report import QualityReport
from evenscore.report.quality import Measure, Value
from evenscore.report.quality_words import chance, gist, outcome, told, verdict

LOW, HIGH = Measure("a", "A", "lower", "words"), Measure("b", "B", "higher", "words")


@pytest.mark.parametrize(
    ("difference", "low", "high"),
    [
        (Value(-2.0, -3.0, -1.0), "better", "worse"),
        (Value(2.0, 1.0, 3.0), "worse", "better"),
        (Value(2.0, 0.0, 4.0), "", ""),
        (Value(2.0, -1.0, 4.0), "", ""),
        (Value(2.0), "", ""),
        (Value(None, 1.0, 2.0), "", ""),
        (Value(float("nan"), 1.0, 2.0), "", ""),
    ],
)
def test_a_verdict_needs_an_interval_without_zero(difference: Value, low: str, high: str) -> None:
    assert (verdict(LOW, difference), verdict(HIGH, difference)) == (low, high)


def test_outcomes_count_what_is_known(quality: QualityReport) -> None:
    values = [Value(-2.0, -3.0, -1.0), Value(1.0, 0.5, 2.0), Value(1.0), Value(None)]
    found = outcome(LOW, quality.parts[:4], values)
    assert ([p.name for p in found.better], [p.name for p in found.worse], found.known) == (["all"], ["worst class"], 2)


def test_what_helped_is_told_for_each_method(make_quality: Callable[..., QualityReport]) -> None:
    report = make_quality([f"c{k}" for k in range(9)], pictures=0)
    kernel, recall = report.measures[:2]
    assert told(report, report.sections[0], kernel) == (
        "cb<dm against plain: better for all samples, the worst class, the head classes, the medium classes and the tail "
        "classes; of 9 classes better in 9 (c0, c1, c2, c3, c4, c5 and 3 more).",
        "mutual against plain: better for all samples, the worst class, the head classes, the medium classes and the tail "
        "classes; of 9 classes better in 9 (c0, c1, c2, c3, c4, c5 and 3 more).",
    )
    assert told(report, report.sections[0], recall)[0] == "cb<dm against plain: of 9 classes neither in 9."
    assert (
        gist(report, report.sections[0], kernel) == "cb<dm: 9 better, 0 worse; mutual: 9 better, 0 worse of 9 classes"
    )
    assert "among the 56 differences of this section expect about 3" in chance(report, report.sections[0])


def test_one_seed_says_that_it_may_be_chance(quality: QualityReport) -> None:
    section = quality.sections[0]
    bare = {"kernel": [Value(-1.0)] * len(quality.parts)}
    methods = (section.methods[0], dataclasses.replace(section.methods[1], differences=bare))
    alone = dataclasses.replace(section, methods=methods)
    words = "cb<dm against plain: the differences have no interval, so they may be chance."
    assert told(quality, alone, quality.measures[0]) == (words,)
    assert chance(quality, alone) == ""
    assert told(quality, dataclasses.replace(section, methods=section.methods[:1]), quality.measures[0]) == ()


def test_without_classes_the_groups_are_told(quality: QualityReport) -> None:
    report = dataclasses.replace(quality, parts=quality.parts[:2], sections=())
    section = quality.sections[0]
    values = {"kernel": [Value(1.0, -1.0, 2.0)] * 2}
    methods = tuple(
        dataclasses.replace(m, figures={}, differences=values if i else {}) for i, m in enumerate(section.methods)
    )
    said = told(report, dataclasses.replace(section, methods=methods), quality.measures[0])
    assert said[0] == "cb<dm against plain: no difference that is more than chance."
