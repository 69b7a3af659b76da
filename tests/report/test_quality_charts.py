"""Charts of figures: marks where the numbers are, one shape a method, intervals beyond the axis as arrows."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from evenscore.report.quality import Measure, Value
from evenscore.report.quality_charts import SHAPES, Row, Series, difference_chart, symbol, value_chart
from evenscore.report.scale import Scale, axis_of

MEASURE = Measure("a", "A<b>", "lower", "words")
SERIES = (Series("plain", 5), Series("<cbdm>", 0))
ROWS = (
    Row("all samples", "", "all", (Value(1.0, 0.5, 1.5), Value(2.0, 1.5, 2.5))),
    Row("<cat>", "head, trained on 3", "class", (Value(4.0), Value(None, note="too few"))),
)


def kinds(svg: str, tag: str, word: str) -> list[ET.Element]:
    return [e for e in ET.fromstring(svg).iter(tag) if word in (e.get("class") or "").split()]


def test_marks_lie_where_the_numbers_are() -> None:
    svg = value_chart(ROWS, SERIES, MEASURE, Scale(1))
    axis = axis_of([value for row in ROWS for value in row.values])
    spans = [e for e in kinds(svg, "line", "span") if e.get("y1") == e.get("y2")]
    places = [tuple(float((e.get(key) or "").rstrip("%")) for key in ("x1", "x2")) for e in spans]
    expected = [(axis.place(0.5), axis.place(1.5)), (axis.place(1.5), axis.place(2.5))]
    assert places == [pytest.approx(pair, abs=0.01) for pair in expected]
    marks = [e for e in ET.fromstring(svg).iter("svg") if e.get("width") == "1"]
    shown = [float((e.get("x") or "").rstrip("%")) for e in marks if e[0].get("d") in SHAPES]
    assert shown[:3] == [pytest.approx(axis.place(v), abs=0.01) for v in (1.0, 2.0, 4.0)]


def test_each_method_has_a_shape_and_what_is_not_given_says_so() -> None:
    svg = value_chart(ROWS, SERIES, MEASURE, Scale(1))
    shapes = [(e.get("class") or "", e.get("d")) for e in ET.fromstring(svg).iter("path")]
    assert shapes[0] == ("mark mark-5", SHAPES[5])
    assert shapes[1] == ("mark mark-0", SHAPES[0])
    assert shapes[3] == ("mark mark-0 faint", SHAPES[0])
    assert [e.text for e in kinds(svg, "text", "void")] == ["not given"]
    assert SHAPES[0] in symbol(SERIES[1])
    assert "hollow" in symbol(Series("more", 6))
    assert len({symbol(Series("x", style)) for style in range(12)}) == 12


def test_words_are_escaped_and_titles_hold_the_numbers() -> None:
    svg = value_chart(ROWS, SERIES, MEASURE, Scale(1))
    assert "<cat>" not in svg
    titles = [e.text for e in ET.fromstring(svg).iter("title")]
    assert "all samples: plain 1.0 (0.5 to 1.5); <cbdm> 2.0 (1.5 to 2.5)" in titles
    assert "<cat>: plain 4.0; <cbdm> not given" in titles
    assert ET.fromstring(svg).get("role") == "img"
    assert [e.text for e in kinds(svg, "text", "way")] == ["← better"]
    assert len(kinds(svg, "line", "rule")) == 1


def test_differences_have_a_line_at_zero() -> None:
    rows = (Row("a", "", "class", (Value(-1.0, -2.0, 0.5), Value(3.0, 2.0, 4.0))),)
    svg = difference_chart(rows, SERIES, Measure("a", "A", "higher", ""), Scale(1), lanes=3)
    (zero,) = kinds(svg, "line", "zero")
    axis = axis_of(list(rows[0].values), zero=True)
    assert zero.get("x1") == f"{axis.place(0):.2f}%"
    assert "+3.0 (+2.0 to +4.0)" in svg
    assert [e.text for e in kinds(svg, "text", "way")] == ["better →"]
    one = difference_chart(rows, SERIES, MEASURE, Scale(1))
    assert int(ET.fromstring(svg).get("height") or 0) - int(ET.fromstring(one).get("height") or 0) == 14


def test_an_interval_beyond_the_axis_ends_in_an_arrow() -> None:
    wide = Row("b", "", "class", (Value(1.5, -900.0, 2.0), Value(1.0, 0.9, 900.0)))
    narrow = Row("a", "", "class", (Value(1.0, 0.9, 1.1), Value(2.0, 1.9, 2.1)))
    svg = value_chart((narrow, wide, narrow), SERIES, MEASURE, Scale(1))
    arrows = [e.get("d") for e in kinds(svg, "path", "span")]
    assert arrows == ["M5,-4L0,0L5,4", "M-5,-4L0,0L-5,4"]


def test_nothing_given_is_no_chart() -> None:
    nothing = (Row("a", "", "class", (Value(None), Value(float("nan")))),)
    assert value_chart(nothing, SERIES, MEASURE, Scale(1)) == difference_chart((), SERIES, MEASURE, Scale(1)) == ""
