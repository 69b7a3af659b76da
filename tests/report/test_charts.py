"""Charts: lengths in proportion, the target where it belongs, words escaped, curves thinned without bias."""

from __future__ import annotations

import dataclasses
import math
import xml.etree.ElementTree as ET

import pytest

from evenscore.report import BalanceReport
from evenscore.report.charts import MOST_POINTS, agreement_chart, loss_chart, size_chart, smooth


def elements(svg: str, tag: str, kind: str) -> list[ET.Element]:
    return [e for e in ET.fromstring(svg).iter(tag) if (e.get("class") or "").split(" ")[-1] == kind]


def percent(element: ET.Element, key: str) -> float:
    return float((element.get(key) or "").removesuffix("%"))


def test_bars_are_in_proportion_and_stacked(report: BalanceReport) -> None:
    svg = size_chart(report.classes)
    order = sorted(report.classes, key=lambda each: -each.real)
    real, made, target = (elements(svg, t, k) for t, k in (("rect", "real"), ("rect", "made"), ("line", "target")))
    assert len(real) == len(made) == len(target) == len(order)
    for each, a, b, mark in zip(order, real, made, target, strict=True):
        assert percent(a, "width") == pytest.approx(100 * each.kept / 1234, abs=0.01)
        assert percent(b, "x") == pytest.approx(percent(a, "width"), abs=0.01)
        assert percent(b, "width") == pytest.approx(100 * each.made / 1234, abs=0.01)
        assert percent(mark, "x1") == percent(mark, "x2") == 100
    assert "7 real + 1,116 made of 1,234" in svg


def test_three_hundred_classes_are_columns(many_classes: BalanceReport) -> None:
    svg = size_chart(many_classes.classes)
    real, made = (elements(svg, "rect", kind) for kind in ("real", "made"))
    assert len(real) == len(made) == 300
    assert [float(bar.get("height") or 0) for bar in real] == [400 - k for k in range(300)]
    scale = float((ET.fromstring(svg).findall("svg")[0].get("viewBox") or "").split()[3])
    for each, a, b in zip(many_classes.classes, real, made, strict=True):
        assert float(a.get("y") or 0) + each.kept == scale
        assert float(b.get("y") or 0) + each.made == float(a.get("y") or 0)
    assert "class-299: 101 real" in svg


def test_agreement_has_whiskers_where_the_interval_is_known(report: BalanceReport) -> None:
    svg = agreement_chart((dataclasses.replace(report.classes[1], agreement_interval=None), *report.classes[2:]))
    points = [percent(point, "cx") for point in elements(svg, "circle", "point")]
    assert points == sorted(points)
    assert points[0] == 41
    assert len(points) == 5
    whiskers = elements(svg, "line", "whisker")
    assert len(whiskers) == 4 * 3
    assert (percent(whiskers[0], "x1"), percent(whiskers[0], "x2")) == (37, 46)
    assert agreement_chart(report.classes[:1]) == ""


def test_words_in_charts_are_escaped(report: BalanceReport) -> None:
    for svg in (size_chart(report.classes), agreement_chart(report.classes), loss_chart(report.loss_curve)):
        assert "<script" not in svg
        ET.fromstring(svg)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;: 617 real" in size_chart(report.classes)


def test_loss_lines_span_the_plot() -> None:
    svg = loss_chart({"head": [(0, 2.0), (50, 1.0), (100, 0.5)], "tail": [(0, 1.0), (100, math.nan)]})
    (line,) = ET.fromstring(svg).iter("polyline")
    assert line.get("points") == "0.00,0.00 50.00,66.67 100.00,100.00"
    assert "loss 0.5, step 0" in svg
    assert loss_chart({"tail": [(3, 1.0)]}) == loss_chart({}) == ""
    assert "50.00" in loss_chart({"flat": [(0, 1.0), (9, 1.0)]})


def test_smoothing_keeps_the_mean_and_bounds_the_points() -> None:
    curve = [(float(step), step % 2 * 2.0) for step in range(160 * 10)]
    thin = smooth(curve)
    assert len(thin) == MOST_POINTS
    assert {y for _, y in thin} == {1.0}
    assert smooth(curve[:100]) == curve[:100]


def test_a_count_of_zero_everywhere_can_be_drawn(report: BalanceReport) -> None:
    empty = dataclasses.replace(report.classes[0], real=0, kept=0, made=0, wanted=0)
    assert 'width="0.00%"' in size_chart([empty])
