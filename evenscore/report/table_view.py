"""The page beside a balanced table: one HTML file that needs nothing else, no network and no script.

Law: whatever the table holds, names and values, it is text on the page.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evenscore.evaluation.table_gain import Change, Gain
from evenscore.evaluation.table_pairs import Pairs
from evenscore.report import charts, table_words
from evenscore.report.environment import render
from evenscore.report.quality_tables import NOT_GIVEN, Cell, Line, Table
from evenscore.report.records import ClassReport
from evenscore.report.table import TableClass, TableReport
from evenscore.report.table_charts import distance_chart, pair_map, shares_chart
from evenscore.report.words import number

MOST_CLASSES = 12
"""Classes whose columns are drawn, the smallest first."""
MOST_COLUMNS = 24
MOST_PAIRS = 16
LISTED = 8


@dataclass(frozen=True)
class ClassView:
    """What is drawn of one class: (name, distance, chart) of columns, maps of pairs, a chart of distances, a table."""

    name: str
    words: str
    columns: tuple[tuple[str, str, str], ...]
    hidden: int
    maps: tuple[tuple[str, str], ...]
    listed: Table | None
    distances: str


def table_page(report: TableReport) -> str:
    """The page as HTML text."""
    made = sorted((each for each in report.classes if each.made), key=lambda each: each.real)
    return render(
        "table.html",
        report=report,
        summary=table_words.summary(report),
        doubts=table_words.doubts(report),
        limits=table_words.LIMITS,
        size_chart=charts.size_chart([_sizes(each) for each in report.classes]),
        gains=[gain_table(report, gain) for gain in report.gains],
        nearest=nearest_table(made) if made else None,
        views=[class_view(each) for each in made[:MOST_CLASSES]],
        more_views=len(made) - MOST_CLASSES,
    )


def _sizes(each: TableClass) -> ClassReport:
    wanted = max(each.wanted, each.real)
    return ClassReport(each.name, each.group, each.real, each.real, each.made, wanted, each.made, 0, 0)


def gain_table(report: TableReport, gain: Gain) -> Table:
    """Recall and average precision of one classifier: from real rows alone, with synthetic ones, and the difference."""
    lines = [
        Line("mean of the classes", "all", "", "", (*_change(gain.mean("recall")), *_change(gain.mean("precision"))))
    ]
    for each, recall, precision in zip(report.classes, gain.recall, gain.precision, strict=True):
        cells = (*_change(recall), *_change(precision))
        lines.append(Line(each.name, "class", each.group, f"{number(each.real)} real", cells))
    caption = (
        f"{gain.name.capitalize()}, {report.folds} folds. Recall: share of the held-out real rows of a class that are given "
        "to it; its mean is the balanced accuracy. Average precision: of the class against the rest."
    )
    columns = ("real alone", "with synthetic", "difference") * 2
    notes = tuple(
        f"{each.name}: not judged, its only row cannot be held out."
        for each, recall in zip(report.classes, gain.recall, strict=True)
        if recall is None
    )
    return Table(caption, "Class", (("recall", 3), ("average precision", 3)), columns, tuple(lines), notes)


def _change(change: Change | None) -> tuple[Cell, Cell, Cell]:
    if change is None:
        return (Cell(NOT_GIVEN),) * 3
    ends, verdict = "", ""
    if change.low is not None and change.high is not None:
        ends = f"{_signed(change.low)} to {_signed(change.high)}"
        verdict = "better" if change.low > 0 else "worse" if change.high < 0 else ""
    difference = Cell(_signed(change.difference), ends, bool(verdict), verdict)
    return Cell(f"{change.real:.3f}"), Cell(f"{change.balanced:.3f}"), difference


def nearest_table(classes: list[TableClass]) -> Table:
    """Distances to the nearest real row, copies and close rows by class."""
    lines = []
    for each in classes:
        near = each.nearest
        if near is None:
            continue
        medians = [_digits(float(np.median(side))) if len(side) else NOT_GIVEN for side in (near.real, near.made)]
        close = NOT_GIVEN if math.isnan(near.close) else f"{near.close:.1%}"
        cells = (Cell(number(each.made)), *(Cell(m) for m in medians), Cell(number(near.copies)), Cell(close))
        lines.append(Line(each.name, "class", each.group, f"{number(each.real)} real", cells))
    columns = ("synthetic rows", "real to real", "synthetic to real", "copies", "close")
    caption = (
        "Median distance to the nearest real row of the class. Copies equal a real row in every value. Close rows are nearer "
        "to a real row than 99 of 100 real rows are to each other: 1 % would be so among new real rows."
    )
    return Table(caption, "Class", (), columns, tuple(lines), ())


def class_view(each: TableClass) -> ClassView:
    """Columns that differ most, pairs and distances of a class."""
    order = sorted(each.marginals, key=lambda marginal: -marginal.distance)
    drawn = tuple((m.name, f"{m.distance:.2f}", shares_chart(m)) for m in order[:MOST_COLUMNS])
    words = f"{number(each.real)} real, {number(each.made)} synthetic"
    maps, listed = pair_views(each.pairs) if each.pairs is not None else ((), None)
    distances = distance_chart(each.nearest) if each.nearest is not None else ""
    return ClassView(each.name, words, drawn, max(0, len(order) - MOST_COLUMNS), maps, listed, distances)


def pair_views(pairs: Pairs) -> tuple[tuple[tuple[str, str], ...], Table | None]:
    """Maps of the columns that differ most, and the pairs that differ most."""
    apart = np.abs(np.nan_to_num(pairs.difference))
    np.fill_diagonal(apart, 0)
    kept = np.sort(np.argsort(-apart.sum(1), kind="stable")[:MOST_PAIRS])
    names, window = [pairs.names[i] for i in kept], np.ix_(kept, kept)
    if not len(pairs.errors()):
        return (), None
    maps = tuple(
        (title, pair_map(names, matrix[window], what))
        for title, matrix, what in (
            ("Real", pairs.real, "Association"),
            ("Synthetic", pairs.made, "Association"),
            ("Difference", pairs.difference, "Difference of the association"),
        )
    )
    rows, columns = np.triu_indices(len(pairs.names), 1)
    order = np.argsort(-apart[rows, columns], kind="stable")[:LISTED]
    lines = []
    for i, j in zip(rows[order], columns[order], strict=True):
        cells = [Cell(_signed(float(m[i, j]))) for m in (pairs.real, pairs.made, pairs.difference)]
        lines.append(Line(f"{pairs.names[i]} and {pairs.names[j]}", "class", "", "", tuple(cells)))
    caption = (
        f"Pairs that differ most. Mean absolute difference over all pairs {pairs.mean_error:.3f}, "
        f"largest {pairs.largest_error:.3f}."
    )
    return maps, Table(caption, "Columns", (), ("real", "synthetic", "difference"), tuple(lines), ())


def _signed(value: float) -> str:
    return NOT_GIVEN if math.isnan(value) else f"{value + 0.0:+.3f}".replace("-", "−")


def _digits(value: float) -> str:
    return f"{value:.3g}"
