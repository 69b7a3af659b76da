"""Charts: inline SVG, drawn in percent of the width, so that text keeps its size on a narrow screen.

Law: a length is proportional to its number, every bar carries its numbers as text or as a title, and every word that
comes from outside is escaped. Colours are classes of the page's style sheet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from evenscore.report.records import ClassReport
from evenscore.report.svg import Attributes, chart, horizontal, percent, shorten, stretched, tag, text, title, vertical
from evenscore.report.words import agreement, many, number, plain

MOST_ROWS = 40
LOWEST = 12
ROW = 40
MOST_POINTS = 160
PLOT = 180
STYLES = 6
"""Styles of lines and marks that the style sheet tells apart."""

Curve = Sequence[tuple[float, float]]


def size_chart(classes: Sequence[ClassReport]) -> str:
    """Real and made samples of each class, stacked, with a mark at the number wanted; the largest class first.

    Up to ``MOST_ROWS`` classes are rows with their names; more are columns with their names as titles.
    """
    order = sorted(classes, key=lambda each: -each.real)
    scale = max([1, *(max(each.wanted, each.size) for each in order)])
    if len(order) > MOST_ROWS:
        return _columns(order, scale)
    rows = [_size_row(each, i * ROW, 100 / scale) for i, each in enumerate(order)]
    return chart(
        rows, len(order) * ROW, f"Real and synthetic samples of {many(len(order), 'class')}; numbers in the table"
    )


def agreement_chart(classes: Sequence[ClassReport]) -> str:
    """Label agreement of each measured class on a line from 0 to 1, with its interval; the lowest first.

    Of more than ``MOST_ROWS`` classes, the ``LOWEST``. Empty when nothing was measured.
    """
    known = [(each.agreement, each) for each in classes if each.agreement is not None]
    order = sorted(known, key=lambda pair: pair[0])[: len(known) if len(known) <= MOST_ROWS else LOWEST]
    if not order:
        return ""
    rows = [_agreement_row(each, value, i * ROW) for i, (value, each) in enumerate(order)]
    return chart(rows, len(order) * ROW, f"Label agreement of {many(len(order), 'class')}; numbers in the table")


def loss_chart(curves: Mapping[str, Curve], quantity: str = "loss") -> str:
    """A quantity against step, one line for each name; empty when no curve has two points that are finite."""
    lines = {name: smooth(curve) for name, curve in curves.items()}
    points = [point for line in lines.values() for point in line]
    if not points:
        return ""
    (x0, x1), (y0, y1) = _range([x for x, _ in points]), _range([y for _, y in points])
    drawn = [
        tag(
            "polyline",
            {
                "class": f"line line-{i % STYLES}",
                "points": " ".join(
                    f"{100 * (x - x0) / (x1 - x0):.2f},{100 * (y1 - y) / (y1 - y0):.2f}" for x, y in line
                ),
            },
            title(name),
        )
        for i, (name, line) in enumerate(lines.items())
        if line
    ]
    frame = [tag("line", {"class": "track", "x1": 0, "x2": 100, "y1": y, "y2": y}) for y in (0, 50, 100)]
    words = [
        text(0, 12, f"{quantity} {number(y1)}"),
        stretched([*frame, *drawn], "0 0 100 100", 20, PLOT),
        text(0, PLOT + 38, f"{quantity} {number(y0)}, step {number(x0)}"),
        text(100, PLOT + 38, f"step {number(x1)}", "end"),
    ]
    return chart(
        words, PLOT + 46, f"{quantity.capitalize()} from {number(y0)} to {number(y1)} against the training step"
    )


def smooth(curve: Curve) -> list[tuple[float, float]]:
    """Finite points of a curve, averaged in at most ``MOST_POINTS`` windows; none when fewer than two steps differ."""
    points = [(float(x), float(y)) for x, y in curve if math.isfinite(x) and math.isfinite(y)]
    width = max(1, -(-len(points) // MOST_POINTS))
    windows = [points[i : i + width] for i in range(0, len(points), width)]
    means = [(sum(x for x, _ in w) / len(w), sum(y for _, y in w) / len(w)) for w in windows]
    return means if len({x for x, _ in means}) > 1 else []


def _size_row(each: ClassReport, y: int, unit: float) -> str:
    words = f"{number(each.kept)} real + {number(each.made)} made"
    if each.short:
        words += f" of {number(each.wanted)}"
    made: Attributes = {
        "class": "made",
        "x": percent(each.kept * unit),
        "y": y + 21,
        "width": percent(each.made * unit),
        "height": 13,
    }
    bars = [
        tag("rect", {"class": "track", "x": 0, "y": y + 21, "width": "100%", "height": 13}),
        tag("rect", {"class": "real", "x": 0, "y": y + 21, "width": percent(each.kept * unit), "height": 13}),
        tag("rect", made),
        vertical("target", each.wanted * unit, y + 17, y + 38),
    ]
    return _row(each, y, words, bars)


def _agreement_row(each: ClassReport, value: float, y: int) -> str:
    middle = y + 27
    marks = [horizontal("track", 0, 100, middle)]
    if each.agreement_interval is not None:
        low, high = (100 * bound for bound in each.agreement_interval)
        marks += [
            horizontal("whisker", low, high, middle),
            *(vertical("whisker", at, middle - 5, middle + 5) for at in (low, high)),
        ]
    marks.append(tag("circle", {"class": "point", "cx": percent(100 * value), "cy": middle, "r": 5}))
    return _row(each, y, agreement(each), marks)


def _row(each: ClassReport, y: int, words: str, marks: Sequence[str]) -> str:
    whole = title(f"{each.name}: {words}, {number(each.wanted)} wanted")
    name = text(0, y + 14, shorten(plain(each.name)), kind="name")
    return tag("g", {}, whole, name, text(100, y + 14, words, "end"), *marks)


def _columns(order: Sequence[ClassReport], scale: int) -> str:
    bars, steps = [], []
    width = 0.85 if len(order) <= 100 else 1
    for i, each in enumerate(order):
        words = f"{plain(each.name)}: {number(each.kept)} real + {number(each.made)} made, {number(each.wanted)} wanted"
        real: Attributes = {"class": "real", "x": i, "y": scale - each.kept, "width": width, "height": each.kept}
        made: Attributes = {"class": "made", "x": i, "y": scale - each.size, "width": width, "height": each.made}
        bars.append(tag("g", {}, title(words), tag("rect", real), tag("rect", made)))
        steps.append(f"{'M' if i == 0 else 'L'}{i},{scale - each.wanted}L{i + 1},{scale - each.wanted}")
    bars.append(tag("path", {"class": "target", "d": "".join(steps)}))
    words = f"{many(len(order), 'class')}, the largest on the left"
    parts = [
        text(0, 12, number(scale)),
        stretched(bars, f"0 0 {len(order)} {scale}", 20, PLOT),
        text(0, PLOT + 38, words),
    ]
    return chart(parts, PLOT + 46, f"Real and synthetic samples of {words}; numbers in the table")


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
