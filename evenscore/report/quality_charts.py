"""Charts of a quality page: values of several methods with their intervals, and paired differences about a zero line.

Law: one row is one part (all samples, a group, a class), one lane in it is one method, in the order of the legend; a
method has its own shape, so that colour is not needed to tell it; where a figure is not given its lane says so. An interval
that reaches beyond the axis ends in an arrow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evenscore.report.charts import STYLES
from evenscore.report.quality import Measure, Value
from evenscore.report.scale import Axis, Scale, axis_of, bounds, given
from evenscore.report.svg import Attributes, chart, horizontal, percent, shorten, tag, text, title, vertical
from evenscore.report.words import many, number, plain

TOP, HEAD, LANE, GAP = 42, 20, 14, 10
SHAPES = (
    "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0z",
    "M-4.5,-4.5h9v9h-9z",
    "M0,-5.5L5.5,4.5H-5.5z",
    "M0,-6L6,0L0,6L-6,0z",
    "M0,5.5L5.5,-4.5H-5.5z",
    "M-1.7,-5.5h3.4v3.8h3.8v3.4h-3.8v3.8h-3.4v-3.8h-3.8v-3.4h3.8z",
)
"""Outlines about the origin: circle, square, triangle, diamond, triangle on its tip, cross."""


@dataclass(frozen=True)
class Series:
    """A method as it is drawn.

    Attributes:
        name: for readers.
        style: number of its shape and colour; from ``STYLES`` on the shapes are hollow.
    """

    name: str
    style: int

    @property
    def kind(self) -> str:
        """Classes of the style sheet."""
        return f"mark mark-{self.style % STYLES}" + (" hollow" if self.style >= STYLES else "")


@dataclass(frozen=True)
class Row:
    """A part with one value for each series; ``words`` stand at the right of its name; ``kind`` is that of the part."""

    name: str
    words: str
    kind: str
    values: tuple[Value, ...]


def value_chart(rows: Sequence[Row], series: Sequence[Series], measure: Measure, scale: Scale, lanes: int = 0) -> str:
    """Values with intervals; rows are at least ``lanes`` lanes high. Empty when no value is given."""
    label = f"{measure.shown} of {many(len(rows), 'part')} for {many(len(series), 'method')}; numbers in the table"
    return _chart(rows, series, measure, label, scale.words, lanes, zero=False)


def difference_chart(
    rows: Sequence[Row], series: Sequence[Series], measure: Measure, scale: Scale, lanes: int = 0
) -> str:
    """Differences with intervals about a line at zero; rows as in :func:`value_chart`. Empty when none is given."""
    label = (
        f"Difference of {measure.shown} from the baseline, {many(len(rows), 'part')} for "
        f"{many(len(series), 'method')}; numbers in the table"
    )
    return _chart(rows, series, measure, label, scale.signed, lanes, zero=True)


def symbol(series: Series) -> str:
    """The shape of a method for a legend."""
    place: Attributes = {"class": "symbol", "aria-hidden": "true", "viewBox": "-7 -7 14 14"}
    return tag("svg", place, tag("path", {"class": series.kind, "d": SHAPES[series.style % STYLES]}))


def _chart(
    rows: Sequence[Row],
    series: Sequence[Series],
    measure: Measure,
    label: str,
    write: Callable[[float], str],
    lanes: int,
    *,
    zero: bool,
) -> str:
    values = [value for row in rows for value in row.values]
    if not any(given(value) for value in values):
        return ""
    axis, step = axis_of(values, zero), HEAD + LANE * max(lanes, len(series)) + GAP
    height = TOP + step * len(rows)
    parts = [_way(measure), *_grid(axis, height, zero)]
    parts += [horizontal("rule", 0, 100, TOP + i * step) for i in _starts(rows)]
    parts += [_row(row, series, axis, TOP + i * step, write) for i, row in enumerate(rows)]
    return chart(parts, height + 4, label)


def _way(measure: Measure) -> str:
    """In which direction values are better."""
    if measure.better == "lower":
        return text(0, 12, "← better", kind="way")
    return text(100, 12, "better →", "end", "way")


def _starts(rows: Sequence[Row]) -> list[int]:
    """Rows before which a line is drawn: the first class after what is about several classes."""
    return [i for i in range(1, len(rows)) if (rows[i].kind == "class") != (rows[i - 1].kind == "class")]


def _grid(axis: Axis, height: int, zero: bool) -> list[str]:
    parts = []
    for tick in axis.ticks:
        at = axis.place(tick)
        anchor = "start" if at < 8 else "end" if at > 92 else "middle"
        parts.append(text(at, 30, _tick(tick), anchor, "tick"))
        parts.append(vertical("zero" if zero and tick == 0 else "grid", at, TOP - 4, height))
    return parts


def _tick(tick: float) -> str:
    return number(tick).replace("-", "−")


def _row(row: Row, series: Sequence[Series], axis: Axis, top: int, write: Callable[[float], str]) -> str:
    told = "; ".join(f"{each.name} {said(value, write)}" for each, value in zip(series, row.values, strict=True))
    parts = [title(f"{row.name}: {told}"), text(0, top + 15, shorten(plain(row.name)), kind=f"name {row.kind}")]
    parts += [text(100, top + 15, row.words, "end")] if row.words else []
    for lane, (each, value) in enumerate(zip(series, row.values, strict=True)):
        parts += _lane(each, value, axis, top + HEAD + LANE * lane + LANE / 2)
    return tag("g", {}, *parts)


def _lane(series: Series, value: Value, axis: Axis, y: float) -> list[str]:
    parts = [horizontal("lane", 0, 100, y)]
    if value.value is None or not given(value):
        return [*parts, _shape(series, 1.5, y, " faint"), text(4, y + 4, "not given", kind="void")]
    ends = bounds(value)
    if ends is not None:
        kind = f"span {series.kind}"
        parts.append(horizontal(kind, axis.place(ends[0]), axis.place(ends[1]), y))
        parts += [_end(kind, axis.place(end), y) for end in ends]
    return [*parts, _shape(series, axis.place(value.value), y)]


def _end(kind: str, at: float, y: float) -> str:
    """A short upright line, or an arrow where the interval goes on beyond the chart."""
    if 0 <= at <= 100:
        return vertical(kind, at, y - 4, y + 4)
    way = 5 if at < 0 else -5
    return _placed(at, y, tag("path", {"class": kind, "d": f"M{way},-4L0,0L{way},4"}))


def _shape(series: Series, at: float, y: float, more: str = "") -> str:
    return _placed(at, y, tag("path", {"class": series.kind + more, "d": SHAPES[series.style % STYLES]}))


def _placed(at: float, y: float, drawn: str) -> str:
    return tag("svg", {"x": percent(at), "y": f"{y:g}", "width": 1, "height": 1}, drawn)


def said(value: Value, write: Callable[[float], str]) -> str:
    """A value with its interval in one line, or ``not given``."""
    if value.value is None or not given(value):
        return "not given"
    ends = bounds(value)
    return write(value.value) + (f" ({write(ends[0])} to {write(ends[1])})" if ends else "")
