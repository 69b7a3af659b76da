"""Verdicts: helped, hurt, both, or not to be told; and what is called no gain."""

from __future__ import annotations

from collections.abc import Sequence

from evenscore.comparison.words import Verdict, chance, headlines, section_words, verdict
from evenscore.report.quality import Measure, Part, Value

KERNEL = Measure("kernel", "KD", "lower", "distance")
FRECHET = Measure("frechet", "FD", "lower", "distance")
AGREEMENT = Measure("agreement", "agreement", "higher", "right class")
PARTS = (Part("all", "all"), Part("worst", "worst class"), Part("group", "tail"), Part("class", "9", "tail", 2))
ZERO = Value(0.0, -1.0, 1.0)
LOWER, HIGHER = Value(-0.5, -0.75, -0.25), Value(0.5, 0.25, 0.75)


def said(kernel: Sequence[Value], agreement: Sequence[Value] = (ZERO,) * 4, failures: Sequence[str] = ()) -> Verdict:
    differences = {"kernel": kernel, "agreement": agreement}
    return verdict("cbdm", "plain", (FRECHET, KERNEL, AGREEMENT), PARTS, differences, failures)


def test_a_method_that_helps_is_said_to_help_whom() -> None:
    found = said([ZERO, LOWER, ZERO, ZERO], [ZERO, ZERO, HIGHER, ZERO])
    assert found.kind == "helped"
    assert found.text == (
        "cbdm helped against plain: KD lower by 0.5 (0.25 to 0.75) for the worst class, agreement higher by 0.5 (0.25 to 0.75) "
        "for tail classes; nothing that was looked at got worse."
    )


def test_a_method_that_hurts_or_does_both_is_said_to() -> None:
    assert said([ZERO, HIGHER, ZERO, ZERO]).kind == "hurt"
    assert said([ZERO, ZERO, ZERO, ZERO], [LOWER, ZERO, ZERO, ZERO]).text.startswith(
        "cbdm hurt against plain: agreement lower by 0.5 (0.25 to 0.75) for all samples"
    )
    both = said([ZERO, LOWER, HIGHER, ZERO])
    assert both.kind == "mixed"
    assert "helped some and hurt others" in both.text
    assert "but KD higher by 0.5 (0.25 to 0.75) for tail classes" in both.text


def test_what_cannot_be_told_is_not_called_equal() -> None:
    found = said([ZERO] * 4)
    assert found.kind == "unclear"
    assert "cannot be told from plain by KD or agreement" in found.text
    assert "(all samples, the worst class, tail classes) holds zero" in found.text
    alone = said([Value(-1.0, note="one seed")] * 4, [Value(0.5)] * 4)
    assert alone.kind == "unclear"
    assert "no difference has an interval" in alone.text


def test_a_single_class_is_not_looked_at() -> None:
    assert said([ZERO, ZERO, ZERO, LOWER]).kind == "unclear"


def test_a_method_without_runs_says_why() -> None:
    found = verdict("cbdm", "plain", (), (), {}, ("seed 0: it broke",))
    assert found == Verdict("none", "cbdm cannot be compared with plain: seed 0: it broke.")
    assert "want of a common seed" in verdict("cbdm", "plain", (KERNEL,), PARTS, {"kernel": [Value(None)] * 4}).text


def test_the_headline_is_a_distance_that_has_every_part() -> None:
    none, there = (Value(None),) * 4, (ZERO,) * 4
    measures = (FRECHET, KERNEL, AGREEMENT)
    assert headlines(measures, {"frechet": (ZERO, *none[1:]), "kernel": there, "agreement": there}) == [
        KERNEL,
        AGREEMENT,
    ]
    assert headlines(measures, {"frechet": there}) == [FRECHET]
    recall = Measure("recall", "recall", "higher", "")
    assert headlines((recall,), {"recall": there}) == [recall]
    assert headlines(measures, {"kernel": none}) == []


def test_a_section_says_when_nothing_beat_the_baseline() -> None:
    lost = list(section_words("compute", "plain", [Verdict("mixed", "a."), Verdict("unclear", "b.")]))
    assert lost == ["At equal compute no method beat the baseline plain.", "a.", "b."]
    assert list(section_words("compute", "plain", [Verdict("helped", "a.")])) == ["a."]
    assert chance(40).startswith("40 intervals of 95 % stand here; where nothing differs, about 2 of so many")
