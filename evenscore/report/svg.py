"""Parts of inline SVG charts: elements, text and lines at places given in percent of the width.

Law: attribute values and text are escaped here, so nothing that comes from outside is markup; a chart says what it shows
in its label and its title; text keeps its size on a narrow screen, because only places are stretched, not letters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from html import escape

from evenscore.report.words import plain

LONGEST_NAME = 22

Attributes = Mapping[str, str | int | float]


def tag(name: str, attributes: Attributes, *children: str) -> str:
    """An element; attribute values are escaped here, children are markup already."""
    words = "".join(f' {key}="{escape(str(value))}"' for key, value in attributes.items())
    return f"<{name}{words}>{''.join(children)}</{name}>"


def title(words: str) -> str:
    """What a pointer that rests on the element around it shows, and a screen reader says."""
    return tag("title", {}, escape(plain(words)))


def chart(parts: Sequence[str], height: int, label: str) -> str:
    """A whole chart, as wide as its place and ``height`` pixels high."""
    frame: Attributes = {"role": "img", "aria-label": plain(label), "width": "100%", "height": height}
    return tag("svg", frame, title(label), *parts)


def percent(at: float) -> str:
    """A place or length in percent of the width, cut to 0 .. 100."""
    return f"{min(100.0, max(0.0, at)):.2f}%"


def text(at: float, y: float, words: str, anchor: str = "start", kind: str = "") -> str:
    """Words at a place; ``anchor`` is start, middle or end, ``kind`` a class of the style sheet."""
    named = {"class": kind} if kind else {}
    return tag("text", {**named, "x": percent(at), "y": y, "text-anchor": anchor}, escape(plain(words)))


def vertical(kind: str, at: float, top: float, bottom: float) -> str:
    """An upright line."""
    return tag("line", {"class": kind, "x1": percent(at), "x2": percent(at), "y1": top, "y2": bottom})


def horizontal(kind: str, left: float, right: float, y: float) -> str:
    """A level line."""
    return tag("line", {"class": kind, "x1": percent(left), "x2": percent(right), "y1": y, "y2": y})


def stretched(parts: Sequence[str], box: str, top: int, height: int) -> str:
    """Parts in units of ``box``, stretched to the width of the chart."""
    place: Attributes = {"x": 0, "y": top, "width": "100%", "height": height}
    return tag("svg", {**place, "viewBox": box, "preserveAspectRatio": "none"}, *parts)


def shorten(words: str, width: int = LONGEST_NAME) -> str:
    """Text cut to ``width`` columns with an ellipsis; East Asian wide characters count as two."""
    used, kept = 0, ""
    for c in words:
        used += 2 if unicodedata.east_asian_width(c) in "WF" else 1
        if used > width:
            return kept.rstrip() + "…"
        kept += c
    return kept
