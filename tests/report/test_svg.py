"""Parts of charts: escaped, labelled, and cut to the width."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from evenscore.report.svg import chart, horizontal, percent, shorten, tag, text, vertical

AWKWARD = "<b>\"&'\x00\u202e"


def test_whatever_a_chart_is_told_is_text() -> None:
    svg = chart(
        [text(50, 3, AWKWARD, "middle", "name"), tag("g", {"data-x": AWKWARD.rstrip("\x00\u202e")[:6]})], 40, AWKWARD
    )
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == root[0].text == "<b>\"&'\ufffd\ufffd"
    assert root[1].text == "<b>\"&'\ufffd\ufffd"
    assert (root[1].get("x"), root[1].get("text-anchor"), root[1].get("class")) == ("50.00%", "middle", "name")
    assert root[2].get("data-x") == "<b>\"&'"


@pytest.mark.parametrize(("at", "words"), [(12.345, "12.35%"), (-3, "0.00%"), (180, "100.00%")])
def test_places_lie_within_the_width(at: float, words: str) -> None:
    assert percent(at) == words


def test_lines_are_level_or_upright() -> None:
    level, upright = ET.fromstring(horizontal("grid", 1, 2, 7)), ET.fromstring(vertical("zero", 5, 1, 9))
    assert [level.get(key) for key in ("x1", "x2", "y1", "y2")] == ["1.00%", "2.00%", "7", "7"]
    assert [upright.get(key) for key in ("x1", "x2", "y1", "y2")] == ["5.00%", "5.00%", "1", "9"]


@pytest.mark.parametrize(("words", "short"), [("abc", "abc"), ("a" * 30, "a" * 22 + "…"), ("犬" * 12, "犬" * 11 + "…")])
def test_shorten(words: str, short: str) -> None:
    assert shorten(words) == short
