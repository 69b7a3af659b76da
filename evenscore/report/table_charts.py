"""Charts of the page of a table: shares of one column side by side, and a map of the associations of columns.

Law: the height of a bar is its share, on one scale for both sides; the strength of a field of a map is the size of its
number, its colour the sign; every bar and field says its numbers in its title.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from evenscore.evaluation.table_distances import Nearest
from evenscore.evaluation.table_marginals import Marginal, numeric_bins
from evenscore.evaluation.table_pairs import Matrix
from evenscore.report.svg import Attributes, chart, percent, shorten, stretched, tag, text, title

HEIGHT, FIELD = 90, 22
GAP = 0.12
NAMED = 6


def shares_chart(marginal: Marginal) -> str:
    """Shares of real (left) and made (right) rows in every bin."""
    most = max([*marginal.real, *marginal.made, 1e-9])
    bars = []
    for i, (words, real, made) in enumerate(zip(marginal.bins, marginal.real, marginal.made, strict=True)):
        told = title(f"{marginal.name}, {words}: {real:.1%} of the real rows, {made:.1%} of the synthetic ones")
        half = (1 - GAP) / 2
        sides = [_bar(kind, i + GAP / 2 + j * half, share / most, half) for j, (kind, share) in enumerate(
            (("real", real), ("made", made))
        )]  # fmt: skip
        bars.append(tag("g", {}, told, *sides))
    parts = [stretched(bars, f"0 0 {len(marginal.bins)} 1", 4, HEIGHT), *_ticks(marginal.bins)]
    label = f"Shares of {marginal.name} among real and synthetic rows, {len(marginal.bins)} bins"
    return chart(parts, HEIGHT + 26, label)


def _ticks(bins: Sequence[str]) -> list[str]:
    """Few bins are named each, of many the first and the last."""
    if len(bins) <= NAMED:
        width = 100 / len(bins)
        return [
            text((i + 0.5) * width, HEIGHT + 20, shorten(b, 60 // len(bins)), "middle", "tick")
            for i, b in enumerate(bins)
        ]
    return [
        text(0, HEIGHT + 20, shorten(bins[0]), kind="tick"),
        text(100, HEIGHT + 20, shorten(bins[-1]), "end", "tick"),
    ]


def _bar(kind: str, at: float, share: float, width: float) -> str:
    return tag("rect", {"class": kind, "x": f"{at:.3f}", "y": f"{1 - share:.4f}", "width": f"{width:.3f}",
                        "height": f"{share:.4f}"})  # fmt: skip


def distance_chart(nearest: Nearest) -> str:
    """Distances to the nearest real row, real to real and synthetic to real; empty where one is missing."""
    sides = (nearest.real, nearest.made)
    if not all(len(side) for side in sides):
        return ""
    words, places = numeric_bins("distance", *sides)
    shares = [np.bincount(p, minlength=len(words))[: len(words)] / len(p) for p in places]
    return shares_chart(Marginal("distance", words, tuple(shares[0].tolist()), tuple(shares[1].tolist())))


def pair_map(names: Sequence[str], matrix: Matrix, what: str) -> str:
    """A square of fields, one for each pair of columns."""
    n, parts = len(names), []
    width = 68 / max(1, n)
    for i, name in enumerate(names):
        parts.append(text(30, i * FIELD + 15, shorten(name, 16), "end", "tick"))
        for j, other in enumerate(names):
            value = float(matrix[i, j])
            told = "no value" if math.isnan(value) else f"{value:+.2f}"
            field: Attributes = {
                "class": "mark-1" if value < 0 else "mark-0",
                "fill-opacity": "0" if math.isnan(value) else f"{min(1.0, abs(value)):.2f}",
                "x": percent(32 + j * width),
                "y": i * FIELD,
                "width": percent(width),
                "height": FIELD,
            }
            parts.append(tag("rect", field, title(f"{what} of {name} and {other}: {told}")))
    return chart(parts, n * FIELD + 2, f"{what} of {n} columns; the largest differences are in the table")
