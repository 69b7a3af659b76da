"""The summary: its sentences say the sums of the records, and doubts have their reasons and their order."""

from __future__ import annotations

import dataclasses

import pytest

from evenscore.report import BalanceReport
from evenscore.report.words import agreement, doubts, inert, join, many, number, plain, reasons, summary


def test_the_summary_says_the_sums(report: BalanceReport) -> None:
    lacking, made, rejected, plan = summary(report)
    lack = sum(each.wanted - each.kept for each in report.classes)
    assert f"from 1,234 (cat) down to 7 (ok). Against the plan 5 classes lacked {lack:,} images together." in lacking
    assert f"{report.total('made'):,} synthetic images went into 5 classes" in made
    assert f"{report.total('size'):,} images, {report.total('kept'):,} real" in made
    assert f"rejected {report.total('copies'):,} as near-copies" in rejected
    assert plan == "The plan was not met in 1 class, 111 images in all: ok (111 short of 1,234)."


def test_a_balanced_data_set_needs_nothing(report: BalanceReport) -> None:
    alone = dataclasses.replace(report.classes[0], candidates=0, copies=0, mislabelled=0)
    sentences = summary(dataclasses.replace(report, classes=(alone, dataclasses.replace(alone, name="dog"))))
    assert sentences == (
        "The source holds 2,468 real images in 2 classes. Against the plan no class lacked anything.",
        "No synthetic image was made: the output holds 2,468 real ones.",
        "No candidate was drawn.",
        "The plan was met in every class.",
    )


def test_each_reason_for_doubt(report: BalanceReport) -> None:
    fine = dataclasses.replace(report.classes[1], real=20, candidates=60, copies=10, mislabelled=20, agreement=0.6)
    assert reasons(fine) == ()
    assert reasons(dataclasses.replace(fine, real=19)) == ("only 19 real to learn from",)
    assert reasons(dataclasses.replace(fine, copies=11)) == ("52% of 60 candidates rejected",)
    low = dataclasses.replace(fine, agreement=0.59, agreement_interval=None)
    assert reasons(low) == ("label agreement 0.59",)
    assert reasons(dataclasses.replace(fine, wanted=1236)) == ("plan not met, 2 short of 1,236",)
    assert reasons(dataclasses.replace(fine, real=3, kept=3, made=0, wanted=3)) == ()


def test_doubts_come_worst_first(report: BalanceReport) -> None:
    few = dataclasses.replace(report.classes[1], name="few", real=5, agreement=0.8)
    fewer = dataclasses.replace(few, name="fewer", real=3)
    lower = dataclasses.replace(few, name="lower", agreement=0.7)
    found = doubts(dataclasses.replace(report, classes=(few, report.classes[0], fewer, lower, report.classes[-1])))
    assert [doubt.name for doubt in found] == ["ok", "lower", "fewer", "few"]


def test_numbers_and_lists() -> None:
    assert [number(n) for n in (0, 1234567, 0.01234, 2.0)] == ["0", "1,234,567", "0.0123", "2"]
    assert (many(1, "class"), many(2, "class"), many(1000, "image")) == ("1 class", "2 classes", "1,000 images")
    assert [join(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]


def test_agreement_with_and_without_interval(report: BalanceReport) -> None:
    each = report.classes[-1]
    assert agreement(each) == "0.41 (0.37 to 0.46)"
    assert agreement(dataclasses.replace(each, agreement_interval=None)) == "0.41"
    assert agreement(dataclasses.replace(each, agreement=None)) == "not measured"


@pytest.mark.parametrize(
    ("text", "shown"), [("a\nb\tc", "a b c"), ("\x00x", "\ufffdx"), ("\u202eab", "\ufffdab"), ("é犬", "é犬")]
)
def test_plain(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"a\|b"),
        ("a\\|b", r"a\\\|b"),
        ("<img src=x onerror=y>", "&lt;img src=x onerror=y>"),
        ("[click](javascript:x)", r"[click]\(javascript:x)"),
        ("![x][y]", r"![x]\[y]"),
        ("a &lt; b\n# head", "a &amp;lt; b # head"),
        ("0.3 [0.1, 0.5]*", "0.3 [0.1, 0.5]*"),
    ],
)
def test_inert(text: str, shown: str) -> None:
    assert inert(text) == shown
