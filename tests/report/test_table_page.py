"""The page of a table: its numbers are those of the records, and whatever is in them is text."""

from __future__ import annotations

import re

import numpy as np

from evenscore.evaluation.table_distances import Nearest
from evenscore.evaluation.table_gain import Change, Gain
from evenscore.evaluation.table_marginals import Marginal
from evenscore.evaluation.table_pairs import Pairs
from evenscore.report import table_words
from evenscore.report.table import TableClass, TableReport
from evenscore.report.table_charts import distance_chart, pair_map, shares_chart
from evenscore.report.table_view import pair_views, table_page

EVIL = '"><script>alert(1)</script>'


def report(**changed: object) -> TableReport:
    matrix = np.array([[1.0, 0.5], [0.5, 1.0]])
    rare = TableClass(
        "rare",
        "tail",
        4,
        96,
        100,
        (Marginal("x", ("low", "high"), (0.25, 0.75), (0.5, 0.5)),),
        Pairs(("x", EVIL), matrix, -matrix),
        Nearest(np.array([1.0, 2.0, 3.0]), np.array([0.1, 2.0]), 3),
    )
    gain = Gain("forest", (Change(0.9, 0.8, -0.2, -0.05), Change(0.1, 0.6, 0.3, 0.7)), (Change(0.9, 0.9), None))
    base = {
        "title": EVIL, "source": "in.csv", "label": "y", "created": "today", "command": "evenscore balance",
        "classes": (TableClass("often", "head", 100, 0, 100), rare), "gains": (gain,), "folds": 3, "mark": "synthetic",
        "output": "out.csv",
    }  # fmt: skip
    return TableReport(**{**base, **changed})  # type: ignore[arg-type]


def test_the_page_holds_the_numbers_and_escapes_the_rest() -> None:
    page = table_page(report())
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 3
    for words in (
        "4 real",
        "+0.500",
        "+0.300 to +0.700",
        "better",
        "−0.100",
        "worse",
        "0.25 of the rows in another bin",
    ):
        assert words in page, words
    assert "not judged" not in page
    assert "<svg" in page
    assert "http" not in re.sub(r"http-equiv", "", page)


def test_words_say_what_was_made_and_whom_to_doubt() -> None:
    found = report()
    lead, made, gained = table_words.summary(found)
    assert lead == "The table holds 104 real rows in 2 classes, from 100 (often) down to 4 (rare)."
    assert made == "96 synthetic rows went into 1 class."
    assert "balanced accuracy of 0.500 from the real rows alone and of 0.700 with synthetic ones (+0.200)" in gained
    (doubt,) = table_words.doubts(found)
    assert doubt.name == "rare"
    assert doubt.reasons == (
        "only 4 real to learn from",
        "3 synthetic rows that equal a real one",
        "50% of the synthetic rows very near a real one",
    )
    short = report(classes=(TableClass("a", "head", 50, 0, 50), TableClass("b", "medium", 30, 10, 50)), gains=())
    assert table_words.doubts(short)[0].reasons == ("plan not met, 10 short of 50",)


def test_bars_have_the_height_of_their_shares() -> None:
    drawn = shares_chart(Marginal("x", ("low", "high"), (0.25, 0.75), (0.5, 0.5)))
    heights = [float(h) for h in re.findall(r'class="(?:real|made)"[^>]*height="([\d.]+)"', drawn)]
    assert heights == [round(v / 0.75, 4) for v in (0.25, 0.5, 0.75, 0.5)]
    assert "x, low: 25.0% of the real rows, 50.0% of the synthetic ones" in drawn


def test_a_map_has_a_field_for_every_pair() -> None:
    drawn = pair_map(["a", EVIL], np.array([[1.0, -0.25], [-0.25, np.nan]]), "Association")
    assert drawn.count("<rect") == 4
    assert drawn.count('class="mark-1" fill-opacity="0.25"') == 2
    assert drawn.count('fill-opacity="0"') == 1
    assert "<script" not in drawn
    nothing = Pairs(("a", "b"), np.full((2, 2), np.nan), np.full((2, 2), np.nan))
    assert pair_views(nothing) == ((), None)


def test_distances_need_both_sides() -> None:
    assert distance_chart(Nearest(np.empty(0), np.array([1.0]), 0)) == ""
    assert "<rect" in distance_chart(Nearest(np.array([1.0, 2.0]), np.array([1.0]), 0))


def test_a_class_that_was_not_judged_says_so() -> None:
    gain = Gain("forest", (Change(0.9, 0.8), None), (Change(0.9, 0.8), None))
    assert "rare: not judged, its only row cannot be held out." in table_page(report(gains=(gain,)))
